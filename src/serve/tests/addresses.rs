//! Which addresses are listened on.

use super::super::*;

#[tokio::test]
async fn an_unspecified_address_of_either_family_is_all_addresses_of_both() {
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let listener = bind(address.parse().unwrap(), false).unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = async |address: &str| {
            let client = TcpStream::connect(format!("{address}:{port}"));
            let permits = Arc::new(Semaphore::new(1));
            let trouble = Trouble::after(1);
            let accepted = accept(&listener, &permits, &trouble);
            let (client, (_, _, peer)) = tokio::join!(client, accepted);
            assert_eq!(client.unwrap().local_addr().unwrap(), peer);
        };
        accepted("127.0.0.1").await;
        if has_ipv6 {
            accepted("[::1]").await;
        }
        // It is taken for both.
        assert!(bind(format!("127.0.0.1:{port}").parse().unwrap(), false).is_err());
    }
}

#[tokio::test]
async fn a_specified_address_is_that_one_alone() {
    let listener = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(address.ip().to_string(), "127.0.0.1");
    assert!(bind(address, false).is_err());
}
