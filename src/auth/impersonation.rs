//! Acting as somebody else (`Impersonate-User` and its kin), where the cluster allows it
//! (`k8s.io/apiserver/pkg/endpoints/filters/impersonation.go`): one review for the user, one for
//! each group, each extra value and the ID.

use hyper::HeaderMap;

use super::access::Access;
use super::identity;
use super::{ANONYMOUS, Attributes, Refusal, ResourceAttributes, UNAUTHENTICATED, User};
use crate::selector::{is_dns_label, is_dns_subdomain};

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA: &str = "impersonate-extra-";

/// Where extra attributes and IDs of users belong.
const USERS_GROUP: (&str, &str) = ("authentication.k8s.io", "v1");

/// How names of service accounts begin.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// The user that `user` may and wants to act as; without such headers `user`.
pub(super) async fn act_as(
    user: User,
    headers: &HeaderMap,
    access: &Access,
) -> Result<User, Refusal> {
    let Some(wanted) = wanted(headers)? else {
        return Ok(user);
    };
    for attributes in reviews(&wanted) {
        access.allow(&user, &attributes).await?;
    }
    Ok(complete(wanted))
}

/// Whom the headers ask for, as they stand.
fn wanted(headers: &HeaderMap) -> Result<Option<User>, Refusal> {
    let unreadable = |_| Refusal::Unauthorized;
    let first = |name: &str| identity::first(headers, &[name.to_owned()]).map_err(unreadable);
    let groups = identity::all(headers, GROUP).map_err(unreadable)?;
    let extra = identity::extra(headers, &[EXTRA.to_owned()]).map_err(unreadable)?;
    let uid = first(UID)?.unwrap_or_default();
    match first(USER)? {
        Some(name) => Ok(Some(User {
            name,
            uid,
            groups,
            extra,
        })),
        None if !groups.is_empty() => Err(Refusal::Impersonation("groups")),
        None if !extra.is_empty() => Err(Refusal::Impersonation("extra attributes")),
        None if !uid.is_empty() => Err(Refusal::Impersonation("a user ID")),
        None => Ok(None),
    }
}

/// What the cluster has to allow for it.
fn reviews(wanted: &User) -> Vec<Attributes> {
    let impersonate = |resource| Attributes {
        verb: "impersonate".to_owned(),
        path: String::new(),
        resource: Some(resource),
    };
    let named = |resource: &str, name: &str| ResourceAttributes {
        resource: resource.to_owned(),
        name: name.to_owned(),
        ..ResourceAttributes::default()
    };
    let of_users = |resource: &str, subresource: &str, name: &str| ResourceAttributes {
        group: USERS_GROUP.0.to_owned(),
        version: USERS_GROUP.1.to_owned(),
        subresource: subresource.to_owned(),
        ..named(resource, name)
    };
    let mut all = vec![match service_account(&wanted.name) {
        Some((namespace, name)) => ResourceAttributes {
            namespace: namespace.to_owned(),
            ..named("serviceaccounts", name)
        },
        None => named("users", &wanted.name),
    }];
    all.extend(wanted.groups.iter().map(|group| named("groups", group)));
    for (key, values) in &wanted.extra {
        all.extend(
            values
                .iter()
                .map(|value| of_users("userextras", key, value)),
        );
    }
    if !wanted.uid.is_empty() {
        all.push(of_users("uids", "", &wanted.uid));
    }
    all.into_iter().map(impersonate).collect()
}

/// Adds the groups that go without saying.
fn complete(mut wanted: User) -> User {
    if let Some((namespace, _)) = service_account(&wanted.name)
        && wanted.groups.is_empty()
    {
        let all = "system:serviceaccounts";
        wanted.groups = vec![all.to_owned(), format!("{all}:{namespace}")];
    }
    if wanted.name == ANONYMOUS {
        if !wanted.groups.iter().any(|group| group == UNAUTHENTICATED) {
            wanted.groups.push(UNAUTHENTICATED.to_owned());
        }
        return wanted;
    }
    wanted.authenticated()
}

/// Namespace and name (`serviceaccount.SplitUsername`).
fn service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
    // Any other name is that of a user who is called so, and is reviewed as one.
    let possible = is_dns_label(namespace) && is_dns_subdomain(name);
    possible.then_some((namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn asked(given: &[(&str, &str)]) -> Vec<String> {
        let wanted = wanted(&headers(given)).unwrap().unwrap();
        let resources = reviews(&wanted).into_iter().filter_map(|it| it.resource);
        resources
            .map(|it| {
                let kind = [it.group, it.resource, it.subresource].join("/");
                format!("{kind} {} {}", it.namespace, it.name)
            })
            .collect()
    }

    #[test]
    fn every_part_of_the_other_identity_is_reviewed() {
        let given = [
            ("Impersonate-User", "bob"),
            ("Impersonate-Group", "dev"),
            ("Impersonate-Group", "ops"),
            ("Impersonate-Extra-Scopes%2fa", "view"),
            ("Impersonate-Uid", "7"),
        ];
        let expected = [
            "/users/  bob",
            "/groups/  dev",
            "/groups/  ops",
            "authentication.k8s.io/userextras/scopes/a  view",
            "authentication.k8s.io/uids/  7",
        ];
        assert_eq!(asked(&given), expected);
        let account = [("Impersonate-User", "system:serviceaccount:shop:web")];
        assert_eq!(asked(&account), ["/serviceaccounts/ shop web"]);
    }

    /// As `serviceaccount.SplitUsername`: whoever may impersonate all service accounts may not
    /// thereby act as a user whose name only begins like theirs.
    #[test]
    fn a_name_that_no_service_account_can_have_is_a_users() {
        let (long, longer) = ("a".repeat(63), "a".repeat(64));
        let (name, too_long) = ("a".repeat(253), "a".repeat(254));
        for (account, is_one) in [
            ("shop:web", true),
            ("shop:web.v1", true),
            ("0:0", true),
            (&format!("{long}:{name}"), true),
            (&format!("{longer}:web"), false),
            (&format!("shop:{too_long}"), false),
            ("shop:FOO", false),
            ("Shop:web", false),
            ("shop.eu:web", false),
            ("shop:web_1", false),
            ("shop:-web", false),
            ("shop:web.", false),
            ("shop:", false),
            (":web", false),
            ("shop:web:x", false),
            ("shop", false),
        ] {
            let user = format!("system:serviceaccount:{account}");
            let expected = match account.split_once(':').filter(|_| is_one) {
                Some((namespace, name)) => format!("/serviceaccounts/ {namespace} {name}"),
                None => format!("/users/  {user}"),
            };
            assert_eq!(asked(&[("Impersonate-User", &user)]), [expected]);
            let completed = complete(User {
                name: user,
                ..User::default()
            });
            let is_grouped = completed.groups[0] == "system:serviceaccounts";
            assert_eq!(is_grouped, is_one, "{account}");
        }
    }

    #[test]
    fn groups_without_a_user_are_refused_and_no_headers_ask_for_nobody() {
        assert!(wanted(&headers(&[("Impersonate-Group", "system:masters")])).is_err());
        assert!(wanted(&headers(&[("Impersonate-Uid", "0")])).is_err());
        assert!(wanted(&headers(&[("Impersonate-Extra-A", "b")])).is_err());
        assert_eq!(wanted(&headers(&[("Accept", "x")])).unwrap(), None);
    }

    #[test]
    fn a_service_account_comes_with_its_groups() {
        let of = |name: &str, groups: &[&str]| {
            let groups = groups.iter().map(|group| (*group).to_owned()).collect();
            complete(User {
                name: name.to_owned(),
                groups,
                ..User::default()
            })
            .groups
        };
        let account = "system:serviceaccount:shop:web";
        let own = [
            "system:serviceaccounts",
            "system:serviceaccounts:shop",
            "system:authenticated",
        ];
        assert_eq!(of(account, &[]), own);
        assert_eq!(of(account, &["dev"]), ["dev", "system:authenticated"]);
        assert_eq!(of("bob", &[]), ["system:authenticated"]);
        assert_eq!(of("system:anonymous", &[]), ["system:unauthenticated"]);
    }
}
