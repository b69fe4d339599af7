import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.ApiResponse;
import org.openapitools.client.api.SessionsApi;
import org.openapitools.client.model.Problem;
import org.openapitools.client.model.Session;
import org.openapitools.client.model.SessionList;
import org.openapitools.client.model.SessionSort;
import org.openapitools.client.model.SessionStatus;

/** Calls the server through the Java client of openapi-generator, and prints the outcome of each check. */
public final class Checks {
  private static final String WORKSPACE = "507f191e810c19729de860ea";
  private static final ObjectMapper JSON = ApiClient.createDefaultObjectMapper();

  private interface Call {
    ApiResponse<SessionList> send() throws ApiException;
  }

  private static SessionsApi to(String server, String token) {
    ApiClient client = new ApiClient();
    client.updateBaseUri(System.getenv(server));
    client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + System.getenv(token)));
    return new SessionsApi(client);
  }

  /** The parameters of a request; the generated method takes all of them by position. */
  private static final class Query implements Call {
    private final SessionsApi api;
    private final String workspace;
    private String clientId;
    private List<String> serviceIds;
    private OffsetDateTime dateFrom;
    private OffsetDateTime dateTo;
    private SessionStatus status;
    private String staffId;
    private OffsetDateTime updatedSince;
    private SessionSort sort;
    private Integer limit;
    private String cursor;
    private String ifNoneMatch;

    Query(SessionsApi api, String workspace) {
      this.api = api;
      this.workspace = workspace;
    }

    @Override
    public ApiResponse<SessionList> send() throws ApiException {
      return api.listSessionsWithHttpInfo(
          workspace, clientId, serviceIds, dateFrom, dateTo, status, staffId, updatedSince, sort, limit, cursor, ifNoneMatch);
    }
  }

  private interface Filter {
    void set(Query query);
  }

  private static Query ask(Filter filter) {
    Query query = new Query(to("SERVER", "TOKEN"), WORKSPACE);
    filter.set(query);
    return query;
  }

  private static List<String> ids(List<Session> sessions) {
    return sessions.stream().map(Session::getId).toList();
  }

  private static List<String> ids(Filter filter) throws ApiException {
    return ids(ask(filter).send().getData().getSessions());
  }

  private static Optional<String> header(ApiResponse<SessionList> response, String name) {
    return Optional.ofNullable(response.getHeaders().get(name)).map(values -> values.get(0));
  }

  private static List<String> pages(Filter filter) throws ApiException {
    Query query = ask(filter);
    List<String> found = new ArrayList<>();
    do {
      ApiResponse<SessionList> response = query.send();
      found.addAll(ids(response.getData().getSessions()));
      query.cursor = header(response, "Next-Cursor").orElse(null);
    } while (query.cursor != null);
    return found;
  }

  private static String notModified() throws ApiException {
    Query query = ask(each -> each.limit = 1);
    query.ifNoneMatch = header(query.send(), "ETag").orElseThrow();
    try {
      query.send();
    } catch (ApiException error) {
      if (error.getCode() == 304) {
        return "not modified";
      }
      throw error;
    }
    throw new IllegalStateException("not 304");
  }

  private static Problem problem(Call call) throws ApiException, IOException {
    try {
      call.send();
    } catch (ApiException error) {
      Problem problem = JSON.readValue(error.getResponseBody(), Problem.class);
      if (problem.getStatus() != error.getCode()) {
        throw error;
      }
      return problem;
    }
    throw new IllegalStateException("no error");
  }

  public static void main(String[] arguments) throws ApiException, IOException {
    List<Session> everything = ask(each -> {}).send().getData().getSessions();
    TreeSet<String> names = new TreeSet<>(String::compareTo);
    everything.forEach(each -> names.add(each.getClientName()));
    List<String> services = List.of("507f1f77bcf86cd799439014", "65a000300000000000000005");

    Map<String, Object> outcomes = new LinkedHashMap<>();
    outcomes.put("all sessions", everything);
    outcomes.put("Arabic text", names);
    outcomes.put("clientId", ids(each -> each.clientId = "65a000200000000000000007"));
    outcomes.put("one service", ids(each -> each.serviceIds = List.of("65a000300000000000000005")));
    outcomes.put("two services", ids(each -> each.serviceIds = services));
    outcomes.put("status", ids(each -> each.status = SessionStatus.IN_PROGRESS));
    outcomes.put("staffId", ids(each -> each.staffId = "65a000400000000000000003"));
    outcomes.put("aware date-times", ids(each -> {
      each.dateFrom = OffsetDateTime.parse("2024-02-01T02:30+03:00");
      each.dateTo = OffsetDateTime.parse("2024-02-10T03:00+03:00");
    }));
    outcomes.put("updatedSince", ids(each -> each.updatedSince = OffsetDateTime.parse("2024-04-01T23:59:59.999Z")));
    outcomes.put("sort by date", ids(each -> each.sort = SessionSort.DATE));
    outcomes.put("sort by -date", ids(each -> each.sort = SessionSort.DATE_DESC));
    outcomes.put("sort by updatedAt", ids(each -> each.sort = SessionSort.UPDATED_AT));
    outcomes.put("sort by -updatedAt", ids(each -> each.sort = SessionSort.UPDATED_AT_DESC));
    outcomes.put("limit", ids(each -> each.limit = 3));
    outcomes.put("all pages", pages(each -> each.limit = 70));
    outcomes.put("every parameter", pages(each -> {
      each.clientId = "65a000200000000000000007";
      each.serviceIds = services;
      each.dateFrom = OffsetDateTime.parse("2024-01-23T00:00Z");
      each.dateTo = OffsetDateTime.parse("2024-04-30T12:30:00.0005Z");
      each.status = SessionStatus.SCHEDULED;
      each.staffId = "65a000400000000000000003";
      each.updatedSince = OffsetDateTime.parse("2024-02-01T00:00+03:00");
      each.sort = SessionSort.DATE_DESC;
      each.limit = 1;
      each.ifNoneMatch = "W/\"0\"";
    }));
    outcomes.put("304", notModified());
    outcomes.put("400", problem(ask(each -> {
      each.clientId = "not an id";
      each.staffId = "س";
    })));
    outcomes.put("401", problem(new Query(to("SERVER", "EXPIRED_TOKEN"), WORKSPACE)));
    outcomes.put("403", problem(new Query(to("SERVER", "TOKEN"), "another")));
    outcomes.put("404 workspace", problem(new Query(to("SERVER", "TOKEN"), "none")));
    outcomes.put("404 page", problem(ask(each -> each.cursor = "WyJkYXRlIl0")));
    outcomes.put("429", problem(new Query(to("LIMITED_SERVER", "TOKEN"), WORKSPACE)));
    outcomes.put("500", problem(new Query(to("SERVER", "TOKEN"), "broken")));
    outcomes.put("503", problem(new Query(to("SERVER_WITHOUT_DATABASE", "TOKEN"), WORKSPACE)));
    System.out.write(JSON.writeValueAsBytes(outcomes));
    System.out.flush();
  }
}
