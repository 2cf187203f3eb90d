import org.apache.camel.Exchange;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.http.base.HttpOperationFailedException;
import org.apache.camel.main.Main;

/**
 * Case documents from a folder become Bundles in another one.
 *
 * <ul>
 *   <li>converted: {@code outbox/NAME}, written under a temporary name first; the case moves to {@code inbox/.done}
 *   <li>refused (4xx but 429): the case goes to {@code refused/NAME} with {@code NAME.outcome.json}, and is not repeated
 *   <li>429, 503, 500, no connection: sent again, after {@code Retry-After} where it is given; when the attempts are
 *       used up the case stays in the inbox, and the next poll begins anew
 * </ul>
 *
 * Sending twice is harmless: the same case gives the same bytes.
 */
public class ConvertCases extends RouteBuilder {
    public static void main(String... arguments) throws Exception {
        Main main = new Main();
        main.configure().addRoutesBuilder(new ConvertCases());
        main.run(arguments);
    }

    @Override
    public void configure() {
        String key = getContext().resolvePropertyPlaceholders("{{key}}");

        onException(HttpOperationFailedException.class)
            .onWhen(exchange -> !passing(exchange))
            .handled(true)
            .setProperty("outcome").exchange(exchange -> failed(exchange).getResponseBody())
            .setProperty("status").exchange(exchange -> failed(exchange).getStatusCode())
            .setBody(exchangeProperty("case"))
            .to("file:{{refused}}?tempPrefix=.part-")
            .setBody(exchangeProperty("outcome"))
            .setHeader(Exchange.FILE_NAME, simple("${file:name}.outcome.json"))
            .to("file:{{refused}}?tempPrefix=.part-")
            .log("refused with status ${exchangeProperty.status}, see {{refused}}");

        onException(Exception.class)
            .maximumRedeliveries("{{redeliveries}}")
            .redeliveryDelay("{{delay}}")
            .backOffMultiplier(2)
            .useExponentialBackOff()
            .maximumRedeliveryDelay(60_000)
            .logStackTrace(false)
            .logExhaustedMessageHistory(false)
            .onExceptionOccurred(ConvertCases::waitAsAsked);

        from("file:{{inbox}}?include=.*\\.json&readLock=changed&readLockMinAge=100&move=.done&delay={{poll}}")
            .routeId("convert-cases")
            .convertBodyTo(byte[].class)
            .setProperty("case", body())
            .removeHeaders("*", Exchange.FILE_NAME, Exchange.FILE_NAME_ONLY)
            .setHeader(Exchange.HTTP_METHOD, constant("POST"))
            .setHeader(Exchange.CONTENT_TYPE, constant("application/json; charset=utf-8"))
            .process(exchange -> identify(exchange, key))
            .setHeader("X-Request-Id", simple("${exchangeId}"))
            .to("{{adapter}}/fhir/$to-fhir?connectTimeout=5000&responseTimeout=60000")
            .to("file:{{outbox}}?tempPrefix=.part-");
    }

    private static void identify(Exchange exchange, String key) {
        if (!key.isEmpty()) {
            exchange.getMessage().setHeader("Authorization", "Bearer " + key);
        }
    }

    /** Whether the same message may be taken at another time. */
    private static boolean passing(Exchange exchange) {
        int status = failed(exchange).getStatusCode();
        return status == 408 || status == 429 || status >= 500;
    }

    private static HttpOperationFailedException failed(Exchange exchange) {
        return exchange.getProperty(Exchange.EXCEPTION_CAUGHT, HttpOperationFailedException.class);
    }

    /** The delay before the next attempt is what the endpoint asks for, in seconds. */
    private static void waitAsAsked(Exchange exchange) {
        Exception error = exchange.getProperty(Exchange.EXCEPTION_CAUGHT, Exception.class);
        exchange.getMessage().removeHeader(Exchange.REDELIVERY_DELAY);
        if (error instanceof HttpOperationFailedException failed && failed.getResponseHeaders() != null) {
            String seconds = failed.getResponseHeaders().get("Retry-After");
            if (seconds != null && seconds.matches("[0-9]{1,4}")) {
                exchange.getMessage().setHeader(Exchange.REDELIVERY_DELAY, Long.parseLong(seconds) * 1000);
            }
        }
    }
}
