package example;

import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Executor;

/** How both programs reach the gateway: in clear, or in TLS with a token. */
final class Connection {
  private Connection() {}

  /** Returns a builder that connects in TLS if there is a CA, else in clear. */
  static ManagedChannelBuilder<?> to(Options options) throws IOException {
    return Grpc.newChannelBuilder(options.get("address", "127.0.0.1:50051"), credentials(options));
  }

  private static ChannelCredentials credentials(Options options) throws IOException {
    String ca = options.get("tls-ca", null);
    String token = options.get("token-file", null);
    if (ca == null) {
      if (token != null) {
        throw new IllegalArgumentException("--token-file needs --tls-ca: a token is not sent in clear");
      }
      return InsecureChannelCredentials.create();
    }
    var tls = TlsChannelCredentials.newBuilder().trustManager(Path.of(ca).toFile()).build();
    return token == null ? tls : CompositeChannelCredentials.create(tls, new Token(Path.of(token)));
  }

  /** Sends the file's text with each call, and reads it anew, so that it may be replaced. */
  private static final class Token extends CallCredentials {
    private static final Metadata.Key<String> AUTHORIZATION =
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    private final Path path;

    Token(Path path) {
      this.path = path;
    }

    @Override
    public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
      executor.execute(
          () -> {
            try {
              Metadata metadata = new Metadata();
              metadata.put(AUTHORIZATION, "Bearer " + Files.readString(path).strip());
              applier.apply(metadata);
            } catch (IOException error) {
              applier.fail(Status.UNAUTHENTICATED.withDescription("no token").withCause(error));
            }
          });
    }
  }
}
