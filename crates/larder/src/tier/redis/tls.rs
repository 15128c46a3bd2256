//! What a connection over TLS needs beforehand.

use redis::{Client, ConnectionAddr, ConnectionInfo, TlsCertificates};
use rustls::{
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::InvalidServer;

/// `info`, ready to connect where it is an address of TLS.
pub(super) fn prepare(
    info: ConnectionInfo,
    authorities: Option<&[u8]>,
) -> Result<ConnectionInfo, InvalidServer> {
    let ConnectionAddr::TcpTls { insecure, .. } = info.addr() else {
        return Ok(info);
    };
    if *insecure {
        let reason = "a certificate is always checked, so #insecure has no place in it".to_owned();
        return Err(InvalidServer::Address { reason });
    }
    // A program that links two providers has none by itself, and connecting would panic.
    if CryptoProvider::get_default().is_none() {
        // Somebody else's, if it was set meanwhile, is as good.
        let _ = aws_lc_rs::default_provider().install_default();
    }
    let Some(authorities) = authorities else {
        return Ok(info);
    };
    // None at all would be taken, and nobody believed.
    if CertificateDer::pem_slice_iter(authorities).next().is_none() {
        let reason = "there is no certificate in it".to_owned();
        return Err(InvalidServer::Authorities { reason });
    }
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(authorities.to_owned()),
    };
    let client = Client::build_with_tls(info, certificates).map_err(|error| {
        let reason = error.to_string();
        InvalidServer::Authorities { reason }
    })?;
    Ok(client.get_connection_info().clone())
}
