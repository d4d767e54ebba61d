package example;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The words of a command line: each option is `--name value`. */
final class Options {
  private final Map<String, String> named = new HashMap<>();
  final List<String> words = new ArrayList<>();

  Options(String[] arguments) {
    for (int i = 0; i < arguments.length; i++) {
      if (!arguments[i].startsWith("--")) {
        words.add(arguments[i]);
      } else if (i + 1 < arguments.length) {
        named.put(arguments[i].substring(2), arguments[++i]);
      } else {
        throw new IllegalArgumentException(arguments[i] + " needs a value");
      }
    }
  }

  String get(String name, String otherwise) {
    return named.getOrDefault(name, otherwise);
  }
}
