//! Things that go wrong between an edge and its reader, on request.

use std::{convert::Infallible, io, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures_util::{StreamExt as _, stream};
use http::{StatusCode, header};

use super::object::Object;

/// Something that goes wrong, where, and how often.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What the path of the request ends with.
    pub path: String,
    /// What happens.
    pub kind: Kind,
    /// How many more requests it happens to; to all if unset.
    pub times: Option<u32>,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Kind {
    /// An answer of this status instead.
    Status(u16),
    /// A redirect to this address instead.
    Redirect(String),
    /// These bytes instead, with a status of 200.
    Body(Vec<u8>),
    /// These bytes instead, as what this `Content-Encoding` names.
    Encoded(&'static str, Vec<u8>),
    /// The connection breaks after this many bytes of the body.
    CutAt(usize),
    /// Nothing more comes after this many bytes of the body, and the connection stays.
    StallAt(usize),
    /// The body ends after this many bytes, and says that it is complete.
    EndAt(usize),
    /// This many bytes more come at the end, which no header announces.
    Append(usize),
    /// The byte at this place is another one.
    Flip(usize),
    /// The body comes at this many bytes a second.
    Slow(usize),
    /// The request is read and never answered.
    Silent,
}

impl Fault {
    /// Happens to every request whose path ends with `path`.
    #[must_use]
    pub fn always(path: &str, kind: Kind) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            times: None,
        }
    }

    /// Happens to the next such request only.
    #[must_use]
    pub fn once(path: &str, kind: Kind) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            times: Some(1),
        }
    }
}

/// The fault that happens to a request for `path`, if any, counted.
pub(super) fn take(faults: &mut Vec<Fault>, path: &str) -> Option<Kind> {
    let at = faults
        .iter()
        .position(|fault| path.ends_with(&fault.path))?;
    let fault = faults.get_mut(at)?;
    let kind = fault.kind.clone();
    if let Some(times) = &mut fault.times {
        *times = times.saturating_sub(1);
        if *times == 0 {
            faults.remove(at);
        }
    }
    Some(kind)
}

impl Kind {
    /// The answer that comes instead of `response`, which is what would have been said of `object`.
    pub(super) fn spoil(self, object: &Object, mut response: Response) -> Response {
        let whole = object.body.clone();
        let upto = |at: usize| whole.slice(..at.min(whole.len()));
        let announced = |response: &mut Response| {
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, whole.len().into());
        };
        match self {
            Self::Silent => {}
            Self::Status(status) => {
                *response.status_mut() =
                    StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
                *response.body_mut() = Body::from("<html><body>out of order</body></html>");
            }
            Self::Redirect(to) => {
                *response.status_mut() = StatusCode::FOUND;
                if let Ok(to) = to.parse() {
                    response.headers_mut().insert(header::LOCATION, to);
                }
                *response.body_mut() = Body::empty();
            }
            Self::Body(bytes) => *response.body_mut() = Body::from(bytes),
            Self::Encoded(encoding, bytes) => {
                let (headers, encoding) = (response.headers_mut(), encoding.parse().ok());
                headers.extend(encoding.map(|name| (header::CONTENT_ENCODING, name)));
                *response.body_mut() = Body::from(bytes);
            }
            Self::CutAt(at) => {
                announced(&mut response);
                let pieces = [
                    Ok(upto(at)),
                    Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                ];
                *response.body_mut() = Body::from_stream(stream::iter(pieces));
            }
            Self::StallAt(at) => {
                announced(&mut response);
                let first = stream::iter([Ok::<_, Infallible>(upto(at))]);
                *response.body_mut() = Body::from_stream(first.chain(stream::pending()));
            }
            Self::EndAt(at) => *response.body_mut() = unannounced(vec![upto(at)]),
            Self::Append(count) => {
                *response.body_mut() = unannounced(vec![whole, vec![0; count].into()]);
            }
            Self::Flip(at) => {
                let mut bytes = whole.to_vec();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1;
                }
                *response.body_mut() = Body::from(bytes);
            }
            Self::Slow(rate) => {
                announced(&mut response);
                *response.body_mut() = slowly(&whole, rate);
            }
        }
        response
    }
}

/// A body of unknown length, so that nothing but its end says where it ends.
fn unannounced(pieces: Vec<Bytes>) -> Body {
    Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)))
}

/// Ten pieces a second.
fn slowly(whole: &Bytes, rate: usize) -> Body {
    let pieces: Vec<Bytes> = whole
        .chunks((rate / 10).max(1))
        .map(Bytes::copy_from_slice)
        .collect();
    Body::from_stream(stream::iter(pieces).then(async |piece| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok::<_, Infallible>(piece)
    }))
}
