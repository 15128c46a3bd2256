//! Counts requests on their way to a server.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

type Counts = Arc<Mutex<BTreeMap<&'static str, u32>>>;

/// A door to a server that counts who comes through: by method.
pub(crate) struct Door {
    counts: Counts,
    address: std::net::SocketAddr,
}

impl Door {
    /// To `server`, such as `http://127.0.0.1:80`.
    pub(crate) async fn to(server: &str) -> anyhow::Result<Self> {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let counts = Counts::default();
        let counting = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(inner) = TcpStream::connect(&server).await else {
                    continue;
                };
                let (from_client, mut to_client) = client.into_split();
                let (mut from_server, to_server) = inner.into_split();
                tokio::spawn(pass((from_client, to_server), Arc::clone(&counting)));
                tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
            }
        });
        Ok(Self { counts, address })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come since somebody asked last.
    pub(crate) fn take(&self) -> BTreeMap<&'static str, u32> {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A request begins where a piece begins with a method: clients send no second one before they have read the answer.
async fn pass(
    (mut from, mut to): (OwnedReadHalf, OwnedWriteHalf),
    counts: Counts,
) -> std::io::Result<()> {
    let mut piece = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut piece).await?;
        let bytes = piece.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return to.shutdown().await;
        }
        if let Some(method) = method(bytes) {
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(method).or_default() += 1;
        }
        to.write_all(bytes).await?;
    }
}

/// The method of a request that begins like this.
fn method(bytes: &[u8]) -> Option<&'static str> {
    let methods = ["GET", "PUT", "HEAD", "POST", "DELETE"].into_iter();
    let mut begun = methods.filter(|method| {
        let rest = bytes.strip_prefix(method.as_bytes());
        rest.is_some_and(|rest| rest.starts_with(b" /"))
    });
    begun.next()
}
