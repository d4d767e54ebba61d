//! Follow the feed for ever, and handle each event once.
//!
//!     follow [options] --state FILE

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use conferencing_examples::Fault;
use conferencing_examples::connecting::{Connection, Token};
use conferencing_examples::failure::Failure;
use conferencing_examples::record::Record;
use conferencing_examples::v1::event_service_client::EventServiceClient;
use conferencing_examples::v1::subscribe_request::Start;
use conferencing_examples::v1::{GapPolicy, Position, SubscribeRequest, SubscribeResponse};
use lexopt::ValueExt;
use lexopt::prelude::Long;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// Between a break and the next attempt; each is twice the one before. Somebody waits for the events.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

struct Follower {
    client: EventServiceClient<InterceptedService<Channel, Token>>,
    record: Record,
    /// When events are no longer stored: `stop`, or go on with the `oldest` or `newest` event.
    on_loss: String,
    /// After how long without a word to subscribe again.
    silence: Duration,
    /// How many events to stop at.
    until: usize,
    pause: Duration,
}

/// What ends a stream before the server does.
enum Break {
    Silent,
    Failed(Status),
    /// The record could not be written, for example.
    Fault(Fault),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match follow().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

async fn follow() -> Result<(), Fault> {
    let mut connection = Connection::default();
    let (mut state, mut on_loss) = (PathBuf::from("state.jsonl"), "stop".to_owned());
    let (mut silence, mut until) = (45.0, usize::MAX);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("state") => state = parser.value()?.into(),
            Long("on-loss") => on_loss = parser.value()?.string()?,
            Long("silence") => silence = parser.value()?.parse()?,
            Long("until") => until = parser.value()?.parse()?,
            Long(name) => connection.take(&name.to_owned(), &mut parser)?,
            _ => return Err(argument.unexpected().into()),
        }
    }
    let mut follower = Follower {
        client: EventServiceClient::with_interceptor(connection.channel()?, connection.token()),
        record: Record::open(&state)?,
        on_loss,
        silence: Duration::from_secs_f64(silence),
        until,
        pause: FIRST_PAUSE,
    };
    let mut stopped = signal(SignalKind::terminate())?;
    tokio::select! {
        // A response is recorded without a pause in between, so this cuts no line in two.
        _ = stopped.recv() => {
            eprintln!("stopped");
            Ok(())
        }
        ended = follower.run() => ended,
    }
}

impl Follower {
    /// Subscribe, and again after any break that passes by itself.
    async fn run(&mut self) -> Result<(), Fault> {
        while !self.has_enough() {
            match self.stream().await {
                Ok(()) => {} // drained, or enough
                Err(Break::Silent) => {
                    eprintln!("nothing came for {:?}, subscribing again", self.silence);
                }
                Err(Break::Failed(status)) => {
                    let wait = self.after_failure(&status)?;
                    sleep(wait).await;
                }
                Err(Break::Fault(fault)) => return Err(fault),
            }
        }
        Ok(())
    }

    /// Handle one stream. What a response held is kept before the next one is asked for.
    async fn stream(&mut self) -> Result<(), Break> {
        // Heartbeats come more often than that: a silent connection is dead.
        let silence = self.silence;
        let opening = timeout(silence, self.client.subscribe(self.request()));
        let mut stream = opening
            .await
            .map_err(|_| Break::Silent)?
            .map_err(Break::Failed)?
            .into_inner();
        while !self.has_enough() {
            let next = timeout(silence, stream.message())
                .await
                .map_err(|_| Break::Silent)?;
            let Some(response) = next.map_err(Break::Failed)? else {
                break;
            };
            self.pause = FIRST_PAUSE;
            report(&response);
            let ids = response.events.into_iter().map(|it| it.id).collect();
            self.record
                .add(ids, response.cursor)
                .map_err(Break::Fault)?;
        }
        Ok(())
    }

    /// Return how long to pause before the next attempt, or what a retry cannot mend.
    fn after_failure(&mut self, status: &Status) -> Result<Duration, Fault> {
        let mut failure = Failure::from(status);
        if failure.code == Code::OutOfRange {
            let missed = failure.metadata.get("missed_events").map(String::as_str);
            eprintln!("{}", lost(&failure.reason, missed));
            if self.on_loss != "newest" {
                return Err("start anew with --on-loss oldest or newest".into());
            }
            let newest = failure.metadata.remove("newest_cursor").unwrap_or_default();
            self.record.add(Vec::new(), newest)?;
            return Ok(Duration::ZERO);
        }
        if !failure.passes() {
            return Err(failure.to_string().into());
        }
        let wait = self.pause.max(failure.retry_after.unwrap_or_default());
        eprintln!("no stream ({}), again in {wait:?}", failure.message);
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
        Ok(wait)
    }

    fn request(&self) -> SubscribeRequest {
        let on_gap = if self.on_loss == "oldest" {
            GapPolicy::Continue
        } else {
            GapPolicy::Fail
        };
        let heartbeats = prost_types::Duration::try_from(self.silence / 3);
        SubscribeRequest {
            heartbeat_interval: heartbeats.ok(),
            on_gap: on_gap.into(),
            start: Some(if self.record.cursor.is_empty() {
                Start::Position(Position::Earliest.into())
            } else {
                Start::AfterCursor(self.record.cursor.clone())
            }),
            ..Default::default()
        }
    }

    fn has_enough(&self) -> bool {
        self.record.seen.len() >= self.until
    }
}

/// Say what has happened to the stream; events are handled by the record alone.
fn report(response: &SubscribeResponse) {
    if let Some(gap) = &response.gap {
        let missed = (gap.missed_events > 0).then(|| gap.missed_events.to_string());
        let reason = gap.reason().as_str_name().trim_start_matches("GAP_REASON_");
        eprintln!("{}", lost(reason, missed.as_deref()));
    }
    if let Some(drain) = &response.drain {
        let why = drain
            .reason()
            .as_str_name()
            .trim_start_matches("DRAIN_REASON_");
        eprintln!("drained: {why}, subscribing again");
    }
}

/// A loss in words. Whatever was derived from the events may be wrong now.
fn lost(reason: &str, missed: Option<&str>) -> String {
    format!(
        "lost: {} events ({reason})",
        missed.unwrap_or("an unknown number of")
    )
}
