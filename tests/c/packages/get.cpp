// Goal: the C++ wrapper does what the C interface does, and frees what it owns. Method: fetch /hello, whose URL is the
// argument, by events and by perform; refusals; moves.
#include <cstdio>
#include <string>
#include <type_traits>

#include <valtron_http.hpp>

namespace {

int failures = 0;

void check(bool good, const char *what, int line) {
    if (good) return;
    std::fprintf(stderr, "get.cpp:%d: not true: %s\n", line, what);
    failures++;
}
#define CHECK(condition) check(condition, #condition, __LINE__)

std::uint64_t live(valtron::client &client) {
    valtron_stats stats = VALTRON_STATS_INIT;
    CHECK(client.stats(stats).ok());
    return stats.requests_live;
}

std::string body(valtron::request &request) {
    std::string all;
    std::string_view bytes;
    while (request.peek(bytes).ok() && !bytes.empty()) {
        all += bytes;
        CHECK(request.consume(bytes.size()).ok());
    }
    return all;
}

void by_events(valtron::client &client, std::string_view url) {
    valtron::request request;
    CHECK(request.create(client, valtron::request_options(url)).ok());
    bool over = false;
    for (valtron_event event; !over;) {
        CHECK(client.wait(10000).ok());
        while (client.next_event(event)) {
            CHECK(event.request == request.handle());
            over = over || (event.flags & VALTRON_EVENT_DONE) != 0;
        }
        if (failures > 0) return;
    }
    CHECK(body(request) == "hello, world\n");
    valtron::head head;
    CHECK(request.head(head).ok());
    CHECK(head.http_status() == 200 && head.reason() == "OK" && head.url() == url);
    CHECK(head.find("CONTENT-length") == "13");
    CHECK(head.find("x-none").data() == nullptr);
    CHECK(head.size() > 0 && !head[0].first.empty());
    std::string_view now;
    CHECK(request.url(now).ok() && now == url);
}

void by_perform(valtron::client &client, std::string_view url) {
    valtron::request request;
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    std::string echo(url.substr(0, url.rfind('/')));
    echo += "/echo";
    valtron::request_options options(echo);
    options.method("POST").header("X-Own", "yes").body("the body");
    CHECK(request.perform(client, options, info, VALTRON_UNTIL_DONE, 10000).ok());
    const std::string told = body(request);
    CHECK(told.find("POST /echo") != std::string::npos);
    CHECK(told.find("X-Own: yes") != std::string::npos || told.find("x-own: yes") != std::string::npos);
    CHECK(told.find("the body") != std::string::npos);
}

void refused(valtron::client &client) {
    valtron::request request;
    const valtron::status answer = request.create(client, valtron::request_options("ftp://host/"));
    CHECK(!answer.ok() && answer == VALTRON_E_URL_SCHEME && answer.name() == "VALTRON_E_URL_SCHEME");
    CHECK(!answer.message().empty() && request.handle() == 0);
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    CHECK(request.poll(0, info) == VALTRON_E_NULL_CLIENT);
    valtron::client none;
    CHECK(none.poll(0) == VALTRON_E_NULL_CLIENT);
}

void owned(valtron::client &client, std::string_view url) {
    {
        valtron::request first, second;
        CHECK(first.create(client, valtron::request_options(url)).ok() && live(client) == 1);
        const valtron_request handle = first.handle();
        second = std::move(first);
        CHECK(second.handle() == handle && first.handle() == 0 && live(client) == 1);
        CHECK(second.create(client, valtron::request_options(url)).ok() && live(client) == 1);
        CHECK(second.handle() != handle);
    }
    CHECK(live(client) == 0);
}

}  // namespace

static_assert(!std::is_copy_constructible_v<valtron::client> && !std::is_copy_assignable_v<valtron::request>);
static_assert(std::is_nothrow_move_constructible_v<valtron::client>);

int main(int argc, char **argv) {
    valtron::client made, client;
    if (argc < 2 || !made.create().ok()) return 2;
    client = std::move(made);
    CHECK(made.raw() == nullptr);
    by_events(client, argv[1]);
    by_perform(client, argv[1]);
    refused(client);
    owned(client, argv[1]);
    return failures > 0;
}
