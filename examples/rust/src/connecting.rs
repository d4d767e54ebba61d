//! How both programs reach the gateway: in clear, or in TLS with a token.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use lexopt::ValueExt;

use crate::Fault;

/// The options of both programs.
pub struct Connection {
    pub address: String,
    /// File of CA certificates to know the gateway by.
    pub tls_ca: Option<PathBuf>,
    /// File of a bearer token; needs a CA.
    pub token_file: Option<PathBuf>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:50051".into(),
            tls_ca: None,
            token_file: None,
        }
    }
}

impl Connection {
    /// Take an option's value if it is one of these.
    pub fn take(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<(), Fault> {
        match name {
            "address" => self.address = parser.value()?.string()?,
            "tls-ca" => self.tls_ca = Some(parser.value()?.into()),
            "token-file" => self.token_file = Some(parser.value()?.into()),
            _ => return Err(format!("--{name} is no option").into()),
        }
        Ok(())
    }

    /// Return a channel, which connects at the first call and again after each break.
    pub fn channel(&self) -> Result<Channel, Fault> {
        let scheme = if self.tls_ca.is_some() {
            "https"
        } else {
            "http"
        };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", self.address))?
            .connect_timeout(Duration::from_secs(5));
        if let Some(path) = &self.tls_ca {
            let ca = Certificate::from_pem(fs::read(path)?);
            endpoint = endpoint.tls_config(ClientTlsConfig::new().ca_certificate(ca))?;
        } else if self.token_file.is_some() {
            return Err("--token-file needs --tls-ca: a token is not sent in clear".into());
        }
        Ok(endpoint.connect_lazy())
    }

    /// Return what adds the token to each call.
    pub fn token(&self) -> Token {
        Token(self.token_file.clone())
    }
}

/// Sends the file's text with each call, and reads it anew, so that it may be replaced.
#[derive(Clone)]
pub struct Token(Option<PathBuf>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(path) = &self.0 {
            let token =
                fs::read_to_string(path).map_err(|it| Status::unauthenticated(it.to_string()))?;
            let value = MetadataValue::try_from(format!("Bearer {}", token.trim()))
                .map_err(|_| Status::unauthenticated("the token is no text for a header"))?;
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}
