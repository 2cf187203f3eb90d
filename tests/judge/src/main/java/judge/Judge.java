package judge;

import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import org.hl7.fhir.utilities.http.ManagedWebAccess;

/**
 * The HL7 Java validator's engine as a line server: requests on stdin, verdicts on stdout, all else on stderr.
 *
 * <p>The arguments are directories of conformance resources (*.json) that the engine shall know beside FHIR R4. Once
 * it is warm it prints {@code ready}; from then on it answers each request line
 *
 * <pre>{"id": any, "resource": "FHIR JSON, as one string"}</pre>
 *
 * with one line
 *
 * <pre>{"id": the same, "messages": [{"severity": "error|warning|information", "location": "FHIRPath",
 *  "message": "...", "code": "the engine's message id, or empty"}]}</pre>
 *
 * <p>The resource travels as a string so that the engine judges the sender's own characters: the digits of decimals,
 * duplicate properties, nulls. Nothing is fetched from any network.
 */
public final class Judge {

  private static final String WARM_UP =
      "{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{\"text\":\"warm-up\"},"
          + "\"valueQuantity\":{\"value\":1.0,\"system\":\"http://unitsofmeasure.org\",\"code\":\"kg\"}}";

  /** Jackson by itself refuses strings above 20 MB; how large a resource may be is for the caller to say. */
  private static final ObjectMapper JSON =
      new ObjectMapper(
          JsonFactory.builder()
              .streamReadConstraints(StreamReadConstraints.builder().maxStringLength(Integer.MAX_VALUE).build())
              .build());

  private Judge() {}

  public static void main(String[] directories) throws IOException {
    PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    System.setOut(System.err); // parts of the engine print
    ManagedWebAccess.setAccessPolicy(ManagedWebAccess.WebAccessPolicy.PROHIBITED);
    Engine engine = new Engine(directories);
    engine.validate(WARM_UP);
    answers.println("ready");
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = requests.readLine(); line != null; line = requests.readLine()) {
      answers.println(answer(engine, line));
    }
  }

  private static String answer(Engine engine, String line) throws JsonProcessingException {
    JsonNode request = JSON.readTree(line);
    ObjectNode answer = JSON.createObjectNode();
    answer.set("id", request.path("id"));
    ArrayNode messages = answer.putArray("messages");
    try {
      for (SingleValidationMessage m : engine.validate(request.path("resource").asText())) {
        String severity = m.getSeverity() == ResultSeverityEnum.FATAL ? "error" : m.getSeverity().getCode();
        add(messages, severity, m.getLocationString(), m.getMessage(), m.getMessageId());
      }
    } catch (RuntimeException | StackOverflowError failure) {
      // The engine answers malformed JSON, among other things, in this way. It is a verdict all the same.
      add(messages, "error", null, failure.toString(), failure.getClass().getSimpleName());
    }
    return JSON.writeValueAsString(answer);
  }

  private static void add(ArrayNode messages, String severity, String location, String text, String code) {
    messages
        .addObject()
        .put("severity", severity)
        .put("location", Objects.requireNonNullElse(location, ""))
        .put("message", Objects.requireNonNullElse(text, ""))
        .put("code", Objects.requireNonNullElse(code, ""));
  }
}
