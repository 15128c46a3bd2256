//! HTTP through a link: one delay a request.

use std::sync::{Arc, atomic::Ordering};

use ::http::{Method, Request, Response, Version, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Incoming},
    client, server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::Instant};

use super::{
    link::Access,
    pause,
    profile::Service,
    proxy::{Activity, Shared, way},
    refusal::refusal,
};

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Serves the requests of one connection.
pub(super) async fn serve(client: TcpStream, shared: &Arc<Shared>, activity: &Activity) {
    let service = service_fn(|request| pass(request, shared, activity));
    let connection = server::conn::http1::Builder::new()
        .preserve_header_case(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(client), service);
    // An error means that the client or the server behind went away.
    let _ = connection.await;
}

/// Passes one request on. It reaches the server after half of its delay, and its answer begins after the whole, or when the
/// server is ready, should that take longer.
async fn pass(
    request: Request<Incoming>,
    shared: &Shared,
    activity: &Activity,
) -> anyhow::Result<Response<Body>> {
    let arrived = Instant::now();
    let in_flight = activity.begin();
    let number = shared.requests.fetch_add(1, Ordering::SeqCst);
    let link = *shared.link.borrow();
    if link.hangs {
        return std::future::pending().await;
    }
    let draw = link.request(shared.seed, number, access(shared.service, &request));
    if draw.refused {
        shared.refused.fetch_add(1, Ordering::SeqCst);
        let refused = refuse(request, shared.service, draw.variant).await?;
        pause::until(arrived + draw.delay).await;
        return Ok(refused);
    }
    pause::until(arrived + way(draw.delay)).await;
    let server = TcpStream::connect(shared.upstream).await?;
    let _ = server.set_nodelay(true);
    // A connection of its own for each: on loopback that costs little, and none can have died meanwhile.
    let handshake = client::conn::http1::Builder::new()
        .preserve_header_case(true)
        .handshake(TokioIo::new(server));
    let (mut sender, connection) = handshake.await?;
    tokio::spawn(connection);
    let mut response = sender.send_request(request).await?;
    pause::until(arrived + draw.delay).await;
    // The connections of AWS stay, whatever the emulator does with its own.
    *response.version_mut() = Version::HTTP_11;
    response.headers_mut().remove(header::CONNECTION);
    response.headers_mut().remove("keep-alive");
    Ok(response.map(|body| {
        let held = move |frame| {
            let _ = (&in_flight, &sender);
            frame
        };
        body.map_frame(held).boxed_unsync()
    }))
}

/// Reads the request to its end, for a client that is cut off while it sends does not read the answer, and refuses it.
async fn refuse(
    request: Request<Incoming>,
    service: Service,
    variant: usize,
) -> hyper::Result<Response<Body>> {
    let (head, mut body) = request.into_parts();
    while body.frame().await.transpose()?.is_some() {}
    let refused = refusal(service, &head.method, &head.headers, variant);
    Ok(refused.map(|body| {
        Full::new(body)
            .map_err(|never| match never {})
            .boxed_unsync()
    }))
}

/// Returns the effect of a request. Only S3 and plain HTTP say so by the method; AWS's other APIs are one latency.
fn access(service: Service, request: &Request<Incoming>) -> Access {
    match (service, request.method()) {
        (Service::S3, &Method::GET | &Method::HEAD) => Access::Read,
        (Service::S3, _) => Access::Write,
        _ => Access::Read,
    }
}
