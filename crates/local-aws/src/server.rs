//! An HTTP server on loopback that ends with its handle, connections and all.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::{JoinHandle, JoinSet},
};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A running server. Dropping it closes the port and every connection at once, as a machine that
/// goes away would.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Serves `app` on a free port.
    pub async fn start(app: Router) -> io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::serve(TcpListener::bind(address).await?, app)
    }

    /// Serves `app` on the port that an earlier server had.
    pub fn start_on(port: TcpSocket, app: Router) -> io::Result<Self> {
        Self::serve(port.listen(BACKLOG)?, app)
    }

    fn serve(listener: TcpListener, app: Router) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self {
            address,
            accepting: tokio::spawn(accept(listener, app)),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`, without a slash behind.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Server {
    /// Ends it, and returns its port. Whoever connects to that is refused, and no other server gets
    /// it, for as long as it is held.
    pub async fn stop(mut self) -> io::Result<TcpSocket> {
        self.accepting.abort();
        // An error says that it was aborted, which it was.
        let _ = (&mut self.accepting).await;
        let port = TcpSocket::new_v4()?;
        port.set_reuseaddr(true)?;
        port.bind(self.address)?;
        Ok(port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, app: Router) {
    // Dropped with this task, and its connections with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        // An answer that is written in two parts would otherwise wait 40 ms for the client's
        // acknowledgement.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(app.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move { drop(connection.await) });
        while connections.try_join_next().is_some() {}
    }
}
