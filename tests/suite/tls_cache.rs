//! The cache over TLS: whom it believes, and whom not.

use std::sync::Arc;

use larder::{
    Cache, Keyspace, Policy,
    tier::redis::{Redis, RedisOptions},
};
use local_servers::redis::Redis as Server;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

static TEXTS: Keyspace<str, String> = Keyspace::new("texts", 1, Policy::by_default());

/// A way to `server` over TLS, which ends with the test: its port.
pub(crate) async fn front(server: u16, certified: &CertifiedKey<rcgen::KeyPair>) -> u16 {
    let chain: Vec<CertificateDer<'static>> = vec![certified.cert.der().clone()];
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            client.set_nodelay(true).unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                // A client that does not believe us hangs up.
                if let Ok(mut client) = acceptor.accept(client).await {
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    port
}

/// What comes of writing and reading at `port`, believing `authorities`.
async fn use_cache(port: u16, authorities: Option<&str>) -> Result<Option<String>, larder::Error> {
    let timeout = std::time::Duration::from_secs(4);
    let options = RedisOptions {
        timeout,
        authorities: authorities.map(|pem| pem.as_bytes().to_owned()),
        ..RedisOptions::default()
    };
    let tier = Redis::new(&format!("rediss://localhost:{port}"), options).unwrap();
    let cache = Cache::builder("app").timeout(timeout).tier(tier).build();
    let space = cache.space(&TEXTS);
    let mut receipt = space.put("key", "value".to_owned().into()).await?;
    if let Some(error) = receipt.missed.pop() {
        return Err(larder::Error::Tier(error));
    }
    let got = space.get("key").await?;
    Ok(got.hit().map(|cached| (*cached.value).clone()))
}

#[tokio::test]
async fn a_server_is_believed_whose_authority_is() {
    let server = Server::start().unwrap();
    let ours = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let port = front(server.port(), &ours).await;
    let value = use_cache(port, Some(&ours.cert.pem())).await.unwrap();
    assert_eq!(value.as_deref(), Some("value"));

    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let elsewhere = generate_simple_self_signed(["elsewhere".to_owned()]).unwrap();
    let misnamed = front(server.port(), &elsewhere).await;
    for (port, authorities) in [
        (port, None),
        (port, Some(other.cert.pem())),
        (misnamed, Some(elsewhere.cert.pem())),
    ] {
        let error = use_cache(port, authorities.as_deref()).await.unwrap_err();
        let error = format!("{:#}", anyhow::Error::from(error));
        assert!(error.contains("invalid peer certificate"), "{error}");
    }
}

#[test]
fn nobody_is_believed_by_mistake() {
    let new = |address: &str, pem: Option<&str>| {
        let options = RedisOptions {
            authorities: pem.map(|pem| pem.as_bytes().to_owned()),
            ..RedisOptions::default()
        };
        Redis::new(address, options).map(drop)
    };
    let unchecked = new("rediss://localhost/#insecure", None).unwrap_err();
    assert!(
        unchecked.to_string().contains("always checked"),
        "{unchecked}"
    );
    for pem in [
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let error = new("rediss://localhost", Some(pem)).unwrap_err();
        assert!(error.to_string().starts_with("not certificates"), "{error}");
    }
}
