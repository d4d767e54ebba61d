//! Speak a text in a conference: one command, with what every command should have.
//!
//!     speak [options] CONFERENCE TEXT
//!
//! tonic reads no service config, so this program retries by itself, as `commands-with-ids.json` has
//! it: on UNAVAILABLE, four attempts at most. It has a command_id, so it may also retry what tonic
//! calls a connection that broke.

use std::process::ExitCode;
use std::time::Duration;

use conferencing_examples::Fault;
use conferencing_examples::connecting::Connection;
use conferencing_examples::failure::Failure;
use conferencing_examples::v1::conference_service_client::ConferenceServiceClient;
use conferencing_examples::v1::{CommandReceipt, SpeakTextRequest};
use lexopt::ValueExt;
use lexopt::prelude::{Long, Value};
use tokio::time::{Instant, sleep};
use tonic::{Code, Request};
use uuid::Uuid;

/// For all attempts together.
const DEADLINE: Duration = Duration::from_secs(10);

const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match speak().await {
        Ok(receipt) => {
            let CommandReceipt {
                command_id, cursor, ..
            } = receipt;
            println!("spoken: command_id {command_id}, effects after cursor {cursor}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

async fn speak() -> Result<CommandReceipt, Fault> {
    let (mut connection, mut words) = (Connection::default(), Vec::new());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            // So that all examples take the same options.
            Long("service-config") => drop(parser.value()?),
            Long(name) => connection.take(&name.to_owned(), &mut parser)?,
            Value(word) => words.push(word.string()?),
            lexopt::Arg::Short(_) => return Err(argument.unexpected().into()),
        }
    }
    let [conference_id, payload] = words
        .try_into()
        .map_err(|_| "usage: speak [options] CONFERENCE TEXT")?;
    let request = SpeakTextRequest {
        conference_id,
        payload,
        voice: "female".into(),
        command_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let mut client =
        ConferenceServiceClient::with_interceptor(connection.channel()?, connection.token());
    let ends = Instant::now() + DEADLINE;
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        let mut call = Request::new(request.clone());
        call.set_timeout(ends - Instant::now());
        let failure = match client.speak_text(call).await {
            Ok(response) => return Ok(response.into_inner().receipt.unwrap_or_default()),
            Err(status) => Failure::from(&status),
        };
        let wait = failure.retry_after.unwrap_or(pause);
        let is_limit = failure.code == Code::ResourceExhausted;
        // tonic calls its own deadline CANCELLED, too.
        if is_limit || !failure.passes() || attempt == ATTEMPTS || Instant::now() + wait >= ends {
            return Err(failure.to_string().into());
        }
        sleep(wait).await;
        pause *= 2;
    }
    unreachable!("the loop returns")
}
