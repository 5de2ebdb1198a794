//! Which certificates the CLI trusts. It is a Node program: Mozilla's list, which is built in, and
//! the file that `NODE_EXTRA_CA_CERTS` names. What the operating system trusts does not count.

use std::sync::Arc;

use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

pub(super) const EXTRA: &str = "NODE_EXTRA_CA_CERTS";

pub(super) struct Trust {
    pub(super) roots: Arc<RootCertStore>,
    /// Whether the user's file gave any.
    pub(super) has_extra: bool,
    /// Why that file gave none. Node warns and goes on without.
    pub(super) unread: Option<String>,
}

impl Trust {
    pub(super) async fn read(file: Option<&str>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let mut unread = None;
        if let Some(file) = file {
            let added = tokio::fs::read(file).await.map(|pem| {
                let found = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
                roots.add_parsable_certificates(found).0
            });
            unread = match added {
                Ok(0) => Some(format!("{EXTRA} ({file}) holds no certificate")),
                Ok(_) => None,
                Err(error) => Some(format!("{EXTRA} ({file}) can't be read: {error}")),
            };
        }
        Self {
            roots: Arc::new(roots),
            has_extra: file.is_some() && unread.is_none(),
            unread,
        }
    }
}
