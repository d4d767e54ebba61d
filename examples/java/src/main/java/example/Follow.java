package example;

import com.google.protobuf.util.Durations;
import conferencing.v1.Event;
import conferencing.v1.EventServiceGrpc;
import conferencing.v1.GapPolicy;
import conferencing.v1.Position;
import conferencing.v1.SubscribeRequest;
import conferencing.v1.SubscribeResponse;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Follows the feed for ever, and handles each event once. */
public final class Follow {
  // Between a break and the next attempt; each is twice the one before. Somebody waits for the events.
  private static final Duration FIRST_PAUSE = Duration.ofMillis(200);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(1);

  private final ManagedChannel channel;
  private final Record record;
  private final String onLoss;
  private final Duration silence;
  private final int until;
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          work -> {
            Thread thread = new Thread(work, "watchdog");
            thread.setDaemon(true);
            return thread;
          });
  private Duration pause = FIRST_PAUSE;

  private Follow(ManagedChannel channel, Record record, Options options) {
    this.channel = channel;
    this.record = record;
    onLoss = options.get("on-loss", "stop"); // or go on with the `oldest` or the `newest` event
    silence = Duration.ofMillis((long) (Double.parseDouble(options.get("silence", "45")) * 1e3));
    until = Integer.parseInt(options.get("until", String.valueOf(Integer.MAX_VALUE)));
  }

  public static void main(String[] arguments) throws Exception {
    Options options = new Options(arguments);
    // On SIGTERM the stream is cancelled, and the program ends when its last response is kept.
    Context.CancellableContext whole = Context.current().withCancellation();
    CountDownLatch stopped = new CountDownLatch(1);
    Thread main = Thread.currentThread();
    int[] code = {0};
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  whole.cancel(null);
                  stopped.countDown();
                  try {
                    main.join();
                  } catch (InterruptedException ended) {
                    return;
                  }
                  System.err.flush();
                  Runtime.getRuntime().halt(code[0]); // a JVM that was told to end exits with 143
                }));
    ManagedChannel channel = Connection.to(options).build();
    try (Record record = new Record(Path.of(options.get("state", "state.jsonl")))) {
      Context before = whole.attach();
      new Follow(channel, record, options).run(stopped);
      whole.detach(before);
    } catch (StatusRuntimeException error) {
      System.err.println(Failure.of(error));
      code[0] = 1;
    } catch (IOException | IllegalStateException error) {
      System.err.println(error.getMessage());
      code[0] = 1;
    } finally {
      channel.shutdownNow();
    }
    new Thread(() -> System.exit(code[0])).start();
  }

  /** Subscribes, and again after any break that passes by itself. */
  private void run(CountDownLatch stopped) throws IOException, InterruptedException {
    while (record.size() < until) {
      Duration wait = Duration.ZERO;
      try {
        stream();
      } catch (StatusRuntimeException error) {
        if (stopped.getCount() > 0) {
          wait = afterFailure(error);
        }
      }
      if (stopped.await(wait.toMillis(), TimeUnit.MILLISECONDS)) {
        System.err.println("stopped");
        return;
      }
    }
  }

  /** Handles one stream. What a response held is kept before the next one is asked for. */
  private void stream() throws IOException {
    try (Context.CancellableContext context = Context.current().withCancellation()) {
      Context before = context.attach();
      // Heartbeats come more often than that: a silent connection is dead.
      Future<?> watchdog = watch(context);
      try {
        // By default the channel waits up to two minutes before it connects again.
        channel.resetConnectBackoff();
        var responses = EventServiceGrpc.newBlockingStub(channel).subscribe(request());
        while (record.size() < until && responses.hasNext()) {
          SubscribeResponse response = responses.next();
          watchdog.cancel(false);
          watchdog = watch(context);
          pause = FIRST_PAUSE;
          report(response);
          List<String> ids = response.getEventsList().stream().map(Event::getId).toList();
          record.add(ids, response.getCursor());
        }
      } finally {
        watchdog.cancel(false);
        context.detach(before);
      }
    }
  }

  private Future<?> watch(Context.CancellableContext context) {
    return timer.schedule(() -> context.cancel(null), silence.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** Returns how long to pause before the next attempt; throws what a retry cannot mend. */
  private Duration afterFailure(StatusRuntimeException error) throws IOException {
    Failure failure = Failure.of(error);
    switch (failure.code()) {
      case OUT_OF_RANGE -> {
        System.err.println(lost(failure.reason(), failure.metadata().get("missed_events")));
        if (!onLoss.equals("newest")) {
          throw new IllegalStateException("start anew with --on-loss oldest or newest");
        }
        record.add(List.of(), failure.metadata().get("newest_cursor"));
        return Duration.ZERO;
      }
      case CANCELLED -> { // by the watchdog
        System.err.printf("nothing came for %d s, subscribing again%n", silence.toSeconds());
        return Duration.ZERO;
      }
      // A limit of the gateway's passes, one of the library's does not.
      case RESOURCE_EXHAUSTED -> throwIf(failure.reason().isEmpty(), error);
      case UNKNOWN -> throwIf(!failure.reason().isEmpty(), error);
      case UNAVAILABLE -> {}
      default -> throw error;
    }
    Duration wait = pause;
    if (failure.retryAfter() != null && failure.retryAfter().compareTo(wait) > 0) {
      wait = failure.retryAfter();
    }
    System.err.printf("no stream (%s), again in %d ms%n", failure.message(), wait.toMillis());
    pause = pause.multipliedBy(2).compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : pause.multipliedBy(2);
    return wait;
  }

  private static void throwIf(boolean holds, StatusRuntimeException error) {
    if (holds) {
      throw error;
    }
  }

  private SubscribeRequest request() {
    SubscribeRequest.Builder request =
        SubscribeRequest.newBuilder()
            .setHeartbeatInterval(Durations.fromMillis(silence.toMillis() / 3))
            .setOnGap(
                onLoss.equals("oldest")
                    ? GapPolicy.GAP_POLICY_CONTINUE
                    : GapPolicy.GAP_POLICY_FAIL);
    if (record.cursor().isEmpty()) {
      return request.setPosition(Position.POSITION_EARLIEST).build();
    }
    return request.setAfterCursor(record.cursor()).build();
  }

  /** Says what has happened to the stream; events are handled by the record alone. */
  private static void report(SubscribeResponse response) {
    if (response.hasGap()) {
      long missed = response.getGap().getMissedEvents();
      String reason = response.getGap().getReason().name().replace("GAP_REASON_", "");
      System.err.println(lost(reason, missed == 0 ? null : Long.toUnsignedString(missed)));
    }
    if (response.hasDrain()) {
      String why = response.getDrain().getReason().name().replace("DRAIN_REASON_", "");
      System.err.println("drained: " + why + ", subscribing again");
    }
  }

  /** A loss in words. Whatever was derived from the events may be wrong now. */
  private static String lost(String reason, String missed) {
    return "lost: " + (missed == null ? "an unknown number of" : missed) + " events (" + reason + ")";
  }
}
