package example;

import com.google.gson.Gson;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * What a subscriber keeps: the ids of the events that it handled, and the cursor after them.
 *
 * <p>Each response is a line of JSON, added in one write: so effects and cursor are never apart, and
 * the last whole line is the truth. In a database this is one transaction, and {@code seen} is a
 * unique key on the id.
 */
final class Record implements AutoCloseable {
  private record Entry(String cursor, List<String> ids) {}

  private final Gson gson = new Gson();
  private final Set<String> seen = new HashSet<>();
  private final FileChannel file;
  private String cursor = "";

  Record(Path path) throws IOException {
    file =
        FileChannel.open(
            path, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
    String text = Files.readString(path);
    // A line without an end was cut off by a crash: what it says comes again.
    String whole = text.substring(0, text.lastIndexOf('\n') + 1);
    file.truncate(whole.getBytes(StandardCharsets.UTF_8).length);
    whole.lines().forEach(line -> take(gson.fromJson(line, Entry.class)));
  }

  String cursor() {
    return cursor;
  }

  int size() {
    return seen.size();
  }

  /** Keeps the ids that are new, in their order, and the cursor, and has them on disk. */
  void add(Collection<String> ids, String cursor) throws IOException {
    Set<String> fresh = new LinkedHashSet<>(ids);
    fresh.removeAll(seen);
    if (fresh.isEmpty() && cursor.equals(this.cursor)) {
      return;
    }
    Entry entry = new Entry(cursor, List.copyOf(fresh));
    ByteBuffer line = StandardCharsets.UTF_8.encode(gson.toJson(entry) + "\n");
    while (line.hasRemaining()) {
      file.write(line);
    }
    file.force(false);
    take(entry);
  }

  private void take(Entry entry) {
    cursor = entry.cursor();
    seen.addAll(entry.ids());
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
