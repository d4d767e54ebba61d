package example;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import conferencing.v1.CommandReceipt;
import conferencing.v1.ConferenceServiceGrpc;
import conferencing.v1.SpeakTextRequest;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/** Speaks a text in a conference: one command, with what every command should have. */
public final class Speak {
  // For all attempts together.
  private static final long DEADLINE_S = 10;

  // It retries commands too, which is harmless because this program sets a command_id.
  private static final String CONFIG = "../../docs/service-config/commands-with-ids.json";

  private Speak() {}

  public static void main(String[] arguments) throws IOException {
    try {
      speak(new Options(arguments));
    } catch (StatusRuntimeException error) {
      System.err.println(Failure.of(error));
      System.exit(1);
    } catch (IllegalArgumentException error) {
      System.err.println(error.getMessage());
      System.exit(1);
    }
  }

  private static void speak(Options options) throws IOException {
    if (options.words.size() != 2) {
      throw new IllegalArgumentException("usage: Speak [options] CONFERENCE TEXT");
    }
    ManagedChannel channel =
        Connection.to(options)
            .defaultServiceConfig(config(Path.of(options.get("service-config", CONFIG))))
            .build();
    try {
      CommandReceipt receipt =
          ConferenceServiceGrpc.newBlockingStub(channel)
              .withDeadlineAfter(DEADLINE_S, TimeUnit.SECONDS)
              .speakText(
                  SpeakTextRequest.newBuilder()
                      .setConferenceId(options.words.get(0))
                      .setPayload(options.words.get(1))
                      .setVoice("female")
                      .setCommandId(UUID.randomUUID().toString())
                      .build())
              .getReceipt();
      System.out.printf(
          "spoken: command_id %s, effects after cursor %s%n",
          receipt.getCommandId(), receipt.getCursor());
    } finally {
      channel.shutdownNow();
    }
  }

  /** gRPC takes a service config as maps, whose numbers are doubles: as Gson reads it. */
  private static Map<String, ?> config(Path path) throws IOException {
    return new Gson().fromJson(Files.readString(path), new TypeToken<Map<String, Object>>() {});
  }
}
