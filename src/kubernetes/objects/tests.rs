//! Which asks are answered, and from where.

use super::*;

#[test]
fn a_namespace_cannot_step_out_of_its_path() {
    for name in ["", ".", "..", "a/b", "%2e%2e", "a?x", "A"] {
        assert!(!is_dns_label(name), "{name}");
    }
    assert!(is_dns_label("kube-system") && is_dns_label("0"));
}
