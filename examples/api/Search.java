// Call edgesearch from another language: Java 17, without any library.
//
//     edgesearch serve device                      # in one terminal
//     java Search.java photo.jpg [photo.jpg ...]   # in another
//
// EDGESEARCH_URL: address of the server (http://127.0.0.1:8765); EDGESEARCH_TOKEN: a token of `edgesearch access`.
// Exit status: 0 answered (an unknown product is an answer), 1 error, 2 wrong usage.

import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

public final class Search {
    static final String SERVER = setting("EDGESEARCH_URL", "http://127.0.0.1:8765");
    static final String TOKEN = setting("EDGESEARCH_TOKEN", "");
    static final int TRIES = 5;
    static final HttpClient CLIENT = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();

    public static void main(String[] photos) throws InterruptedException {
        if (photos.length == 0) {
            System.err.println("usage: java Search.java PHOTO...");
            System.exit(2);
        }
        int failed = 0;
        for (String photo : photos) {
            try {
                show(photo, search(Path.of(photo)));
            } catch (ConnectException error) {
                System.err.println(SERVER + ": no server; start `edgesearch serve device`.");
                failed = 1;
            } catch (IOException error) {
                System.err.println(photo + ": " + error.getMessage());
                failed = 1;
            }
        }
        System.exit(failed);
    }

    /** Searches a photo and returns the answer as JSON objects; retries when the server is busy. */
    static Map<?, ?> search(Path photo) throws IOException, InterruptedException {
        if (!Files.isReadable(photo)) {
            throw new IOException("no such file; check the path.");
        }
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(SERVER + "/v1/search?k=3"))
            .timeout(Duration.ofSeconds(30))
            .header("Content-Type", "image/" + suffix(photo))
            .POST(HttpRequest.BodyPublishers.ofFile(photo));
        if (!TOKEN.isEmpty()) {
            request.header("Authorization", "Bearer " + TOKEN);
        }
        for (int left = TRIES; ; left--) {
            HttpResponse<String> response = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofString());
            int status = response.statusCode();
            if ((status == 429 || status == 503) && left > 1) {
                Thread.sleep(1000 * response.headers().firstValueAsLong("Retry-After").orElse(1));
                continue;
            }
            Map<?, ?> answer = (Map<?, ?>) new Json(response.body()).value();
            if (status != 200) {
                Object error = answer.get("error");
                throw new IOException(error instanceof Map<?, ?> details ? "" + details.get("message") : "status " + status);
            }
            return answer;
        }
    }

    static void show(String photo, Map<?, ?> answer) {
        System.out.println(photo + ": " + answer.get("decision"));
        for (Object item : (List<?>) answer.get("matches")) {
            Map<?, ?> match = (Map<?, ?>) item;
            String price = match.get("price") == null ? "" : "  " + match.get("price") + " " + match.get("currency");
            double likely = 100 * (Double) match.get("probability");
            System.out.printf(Locale.ROOT, "  %3.0f%%  %s  %s%s%n", likely, match.get("sku"), match.get("name"), price);
        }
        if (!"".equals(answer.get("advice"))) {
            System.out.println("  " + answer.get("advice"));
        }
    }

    static String suffix(Path photo) {
        String name = photo.getFileName().toString().toLowerCase(Locale.ROOT);
        String suffix = name.substring(name.lastIndexOf('.') + 1);
        return suffix.equals("jpg") ? "jpeg" : suffix.equals("tif") ? "tiff" : suffix;
    }

    static String setting(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isBlank() ? otherwise : value;
    }

    /** Reads JSON, which Java cannot, as Map, List, String, Double, Boolean and null. */
    static final class Json {
        private final String text;
        private int at;

        Json(String text) {
            this.text = text;
        }

        Object value() throws IOException {
            char next = peek();
            if (next == '{') {
                Map<String, Object> table = new LinkedHashMap<>();
                for (boolean more = open('}'); more; more = again('}')) {
                    String key = string();
                    expect(':');
                    table.put(key, value());
                }
                return table;
            }
            if (next == '[') {
                List<Object> list = new ArrayList<>();
                for (boolean more = open(']'); more; more = again(']')) {
                    list.add(value());
                }
                return list;
            }
            return next == '"' ? string() : word();
        }

        private boolean open(char end) throws IOException {
            at++;
            if (peek() != end) {
                return true;
            }
            at++;
            return false;
        }

        private boolean again(char end) throws IOException {
            if (peek() == end) {
                at++;
                return false;
            }
            expect(',');
            return true;
        }

        private String string() throws IOException {
            expect('"');
            StringBuilder read = new StringBuilder();
            for (char c = take(); c != '"'; c = take()) {
                if (c != '\\') {
                    read.append(c);
                    continue;
                }
                char escaped = take();
                int known = "bfnrt".indexOf(escaped);
                if (escaped == 'u') {
                    read.append((char) Integer.parseInt(text.substring(at, at += 4), 16));
                } else {
                    read.append(known < 0 ? escaped : "\b\f\n\r\t".charAt(known));
                }
            }
            return read.toString();
        }

        private Object word() throws IOException {
            int start = at;
            while (at < text.length() && ",]} \n\r\t".indexOf(text.charAt(at)) < 0) {
                at++;
            }
            String word = text.substring(start, at);
            return switch (word) {
                case "true" -> true;
                case "false" -> false;
                case "null" -> null;
                default -> number(word);
            };
        }

        private Double number(String word) throws IOException {
            try {
                return Double.valueOf(word);
            } catch (NumberFormatException error) {
                throw new IOException("the answer is not JSON; is " + SERVER + " edgesearch?");
            }
        }

        private char peek() throws IOException {
            while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
                at++;
            }
            char next = take();
            at--;
            return next;
        }

        private char take() throws IOException {
            if (at >= text.length()) {
                throw new IOException("the answer is cut off, or is not JSON; is " + SERVER + " edgesearch?");
            }
            return text.charAt(at++);
        }

        private void expect(char wanted) throws IOException {
            if (peek() != wanted) {
                throw new IOException("the answer is not JSON; is " + SERVER + " edgesearch?");
            }
            at++;
        }
    }
}
