//! Opening a wire: over TCP, TLS or a socket, logged in, in its database.

use std::path::Path;
use std::sync::Arc;

use dunlin_core::{Error, ErrorKind, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::{Stream, Wire};
use crate::address::{Place, Tls};
use crate::connect::{Door, shown};
use crate::error;

const DOING: &str = "cannot connect";

impl Door {
    /// Opens a wire to one place.
    pub(crate) async fn wire(&self, place: &Place) -> Result<Wire> {
        let opening = async {
            let stream = self.stream(place).await?;
            // A server may be busy for longer than it may be silent when called.
            let mut wire = Wire::new(stream, self.url.clone(), self.timeout * 3);
            match (&self.address.user, &self.address.password) {
                (_, None) => {}
                (None, Some(password)) => drop(wire.must(&[b"AUTH", password.as_bytes()], DOING).await?),
                (Some(user), Some(password)) => {
                    wire.must(&[b"AUTH", user.as_bytes(), password.as_bytes()], DOING).await?;
                }
            }
            if self.address.db != 0 {
                wire.must(&[b"SELECT", self.address.db.to_string().as_bytes()], DOING).await?;
            }
            Ok(wire)
        };
        error::within(self.timeout, DOING, opening).await.map_err(|error| error.with("server", shown(place)))
    }

    async fn stream(&self, place: &Place) -> Result<Box<dyn Stream>> {
        let (host, port) = match place {
            Place::Socket(path) => {
                let stream = UnixStream::connect(path).await.map_err(|failure| refused(&failure))?;
                return Ok(Box::new(stream));
            }
            Place::Hosts(hosts) => hosts.first().cloned().unwrap_or_else(|| ("127.0.0.1".to_owned(), 6379)),
        };
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|failure| refused(&failure))?;
        stream.set_nodelay(true).map_err(|failure| refused(&failure))?;
        let Some(tls) = &self.address.tls else { return Ok(Box::new(stream)) };
        let connector = TlsConnector::from(Arc::new(client(tls)?));
        let name = ServerName::try_from(host).map_err(|_| bad("the host of the URL is no name"))?;
        let stream = connector.connect(name, stream).await.map_err(|failure| refused(&failure))?;
        Ok(Box::new(stream))
    }
}

fn refused(failure: &std::io::Error) -> Error {
    Error::new(ErrorKind::Connect, format!("{DOING}: {failure}"))
        .help("is the server up, and does the port lead to it?")
        .temporary()
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// The same trust as the driver's connections have.
fn client(tls: &Tls) -> Result<ClientConfig> {
    let unreadable = |path: &Path| {
        let path = path.display().to_string();
        move |failure: rustls::pki_types::pem::Error| bad(format!("cannot read {path}: {failure}"))
    };
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>> {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        read.map_err(unreadable(path))
    };
    let mut roots = RootCertStore::empty();
    match &tls.authority {
        Some(path) => drop(roots.add_parsable_certificates(certificates(path)?)),
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|failure| bad(failure.to_string()))?.with_root_certificates(roots);
    match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => {
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
            let config = config.with_client_auth_cert(certificates(certificate)?, key_der);
            config.map_err(|failure| bad(failure.to_string()))
        }
        _ => Ok(config.with_no_client_auth()),
    }
}
