//! What a call failed with, read out of a status and its details.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// What a call failed with; docs/errors.md says what each part means.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    pub message: String,
    /// Empty if the status is from a library and not from the gateway.
    pub reason: String,
    pub metadata: HashMap<String, String>,
    pub fields: Vec<FieldViolation>,
    /// None if nothing says when to retry.
    pub retry_after: Option<Duration>,
}

impl From<&Status> for Failure {
    fn from(status: &Status) -> Self {
        let details: ErrorDetails = status.get_error_details();
        let (reason, metadata) = details.error_info().map_or_else(Default::default, |it| {
            (it.reason.clone(), it.metadata.clone())
        });
        Self {
            code: status.code(),
            message: status.message().into(),
            reason,
            metadata,
            fields: details
                .bad_request()
                .map_or_else(Vec::new, |it| it.field_violations.clone()),
            retry_after: details.retry_info().and_then(|it| it.retry_delay),
        }
    }
}

impl Failure {
    /// Whether a retry may help. tonic has statuses of its own for a connection that breaks during a
    /// call, UNKNOWN, and for one that closed before the call was sent, CANCELLED.
    pub fn passes(&self) -> bool {
        let is_of_library = self.reason.is_empty();
        match self.code {
            Code::Unavailable => true,
            Code::Unknown | Code::Cancelled => is_of_library,
            // A limit of the gateway's passes, one of the library's does not.
            Code::ResourceExhausted => !is_of_library,
            _ => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", name(self.code), self.message)?;
        if !self.reason.is_empty() {
            write!(to, "\n  reason: {}", self.reason)?;
        }
        for it in &self.fields {
            write!(to, "\n  field {}: {}", it.field, it.description)?;
        }
        if let Some(delay) = self.retry_after {
            write!(to, "\n  retry after: {:.3} s", delay.as_secs_f64())?;
        }
        for name in ["outcome", "command_id"] {
            if let Some(value) = self.metadata.get(name) {
                write!(to, "\n  {name}: {value}")?;
            }
        }
        Ok(())
    }
}

/// gRPC's name of a code: tonic's are in words (`Code::NotFound`).
fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
