package example;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What a call failed with; docs/errors.md says what each part means.
 *
 * <p>{@code reason} is empty if the status is from a library and not from the gateway, {@code
 * retryAfter} is null if nothing says when to retry.
 */
record Failure(
    Status.Code code,
    String message,
    String reason,
    Map<String, String> metadata,
    List<BadRequest.FieldViolation> fields,
    Duration retryAfter) {

  static Failure of(StatusRuntimeException error) {
    String reason = "";
    Map<String, String> metadata = Map.of();
    List<BadRequest.FieldViolation> fields = List.of();
    Duration retryAfter = null;
    try {
      for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          reason = info.getReason();
          metadata = info.getMetadataMap();
        } else if (detail.is(BadRequest.class)) {
          fields = detail.unpack(BadRequest.class).getFieldViolationsList();
        } else if (detail.is(RetryInfo.class)) {
          var delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        }
      }
    } catch (InvalidProtocolBufferException damaged) {
      // The code and what was read before it are worth more than nothing.
    }
    Status status = error.getStatus();
    return new Failure(
        status.getCode(), status.getDescription(), reason, metadata, fields, retryAfter);
  }

  @Override
  public String toString() {
    List<String> lines = new ArrayList<>(List.of(code + ": " + message));
    if (!reason.isEmpty()) {
      lines.add("reason: " + reason);
    }
    fields.forEach(it -> lines.add("field " + it.getField() + ": " + it.getDescription()));
    if (retryAfter != null) {
      lines.add(String.format(Locale.ROOT, "retry after: %.3f s", retryAfter.toMillis() / 1e3));
    }
    for (String name : List.of("outcome", "command_id")) {
      if (metadata.containsKey(name)) {
        lines.add(name + ": " + metadata.get(name));
      }
    }
    return String.join("\n  ", lines);
  }
}
