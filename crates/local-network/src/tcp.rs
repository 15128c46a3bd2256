//! Bytes through a link: one delay a burst.

use std::sync::atomic::Ordering;

use hyper::body::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::Instant,
};

use super::{
    link::Access,
    pause,
    proxy::{Activity, BUFFER, InFlight, MAX_BURSTS, Shared},
};

/// Bytes that came together, on their way.
struct Burst {
    due: Instant,
    bytes: Bytes,
    /// Keeps the connection from being idle.
    in_flight: InFlight,
}

/// Serves one connection, usable from the moment `usable` on: each burst of the client's bytes is passed on after its delay, and
/// answers at once. Bursts keep their order and do not wait for each other's delays.
pub(super) async fn serve(
    client: TcpStream,
    shared: &Shared,
    activity: &Activity,
    usable: Instant,
) {
    let Ok(server) = TcpStream::connect(shared.upstream).await else {
        return;
    };
    let _ = server.set_nodelay(true);
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let (queue, bursts) = mpsc::channel(MAX_BURSTS);
    let there = async {
        tokio::join!(
            receive(from_client, shared, activity, usable, queue),
            send(bursts, to_server)
        );
    };
    // The end of either side is the end of both.
    tokio::select! {
        () = there => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}

async fn receive(
    mut client: OwnedReadHalf,
    shared: &Shared,
    activity: &Activity,
    usable: Instant,
    queue: mpsc::Sender<Burst>,
) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        let number = shared.requests.fetch_add(1, Ordering::SeqCst);
        let link = *shared.link.borrow();
        if link.hangs {
            continue;
        }
        let draw = link.request(shared.seed, number, Access::Read);
        let burst = Burst {
            due: Instant::now().max(usable) + draw.delay,
            bytes: Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default()),
            in_flight: activity.begin(),
        };
        if queue.send(burst).await.is_err() {
            break;
        }
    }
}

async fn send(mut bursts: mpsc::Receiver<Burst>, mut server: OwnedWriteHalf) {
    while let Some(burst) = bursts.recv().await {
        pause::until(burst.due).await;
        if server.write_all(&burst.bytes).await.is_err() {
            break;
        }
        drop(burst.in_flight);
    }
}
