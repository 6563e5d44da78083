// valtron_http in C++17: owners for client and request, views for text and bodies. Header only, without exceptions, and
// with nothing hidden: the C interface in valtron_http.h, which says what each call does, takes what raw() gives.
//
// SPDX-License-Identifier: MIT OR Apache-2.0

#ifndef VALTRON_HTTP_HPP
#define VALTRON_HTTP_HPP

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "valtron_http.h"

namespace valtron {

/// What a call answered. Not to be overlooked, and no exception: a main loop may be compiled without them.
class [[nodiscard]] status {
  public:
    constexpr status(valtron_status code = VALTRON_OK) noexcept : code_(code) {}
    constexpr bool ok() const noexcept { return code_ == VALTRON_OK; }
    constexpr valtron_status code() const noexcept { return code_; }
    std::string_view name() const noexcept { return valtron_status_name(code_); }
    std::string_view message() const noexcept { return valtron_status_message(code_); }
    friend constexpr bool operator==(status a, status b) noexcept { return a.code_ == b.code_; }
    friend constexpr bool operator!=(status a, status b) noexcept { return a.code_ != b.code_; }

  private:
    valtron_status code_;
};

/// Owns a valtron_client. Its requests must be gone before it.
class client {
  public:
    client() noexcept = default;
    client(client &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    client &operator=(client &&other) noexcept {
        if (this != &other) reset(std::exchange(other.raw_, nullptr));
        return *this;
    }
    client(const client &) = delete;
    client &operator=(const client &) = delete;
    ~client() { reset(); }

    /// Makes a client, and then frees what it owned. Refused, it keeps that.
    status create(const valtron_client_config &config = VALTRON_CLIENT_CONFIG_INIT) noexcept {
        valtron_client *made = nullptr;
        const status answer = valtron_client_create(&config, &made);
        if (answer.ok()) reset(made);
        return answer;
    }

    status poll(std::uint64_t budget_us, valtron_poll_info *info = nullptr) noexcept {
        return valtron_client_poll(raw_, budget_us, info);
    }
    status wait(std::int32_t timeout_ms, valtron_poll_info *info = nullptr) noexcept {
        return valtron_client_wait(raw_, timeout_ms, info);
    }
    status wakeup() noexcept { return valtron_client_wakeup(raw_); }
    status shutdown(std::int32_t timeout_ms) noexcept { return valtron_client_shutdown(raw_, timeout_ms); }
    status stats(valtron_stats &stats) noexcept { return valtron_client_stats(raw_, &stats); }

    /// One by one; false: none is left, or the client is not usable.
    bool next_event(valtron_event &event) noexcept {
        std::size_t count = 0;
        return valtron_client_next_events(raw_, &event, sizeof event, 1, &count) == VALTRON_OK && count == 1;
    }
    bool next_spawn(valtron_spawn &spawn) noexcept {
        std::size_t count = 0;
        return valtron_client_next_spawns(raw_, &spawn, sizeof spawn, 1, &count) == VALTRON_OK && count == 1;
    }
    status decide(std::uint64_t spawn_id, valtron_decision decision, valtron_job **job = nullptr) noexcept {
        return valtron_action_decide(raw_, spawn_id, decision, job);
    }

    valtron_client *raw() const noexcept { return raw_; }

  private:
    void reset(valtron_client *next = nullptr) noexcept { valtron_client_free(std::exchange(raw_, next)); }

    valtron_client *raw_ = nullptr;
};

/// A request to be made. What it is given must live until it was used: it copies nothing.
class request_options {
  public:
    explicit request_options(std::string_view url) {
        config.url = url.data();
        config.url_len = url.size();
    }
    request_options &method(std::string_view method) {
        config.method = method.data();
        config.method_len = method.size();
        return *this;
    }
    request_options &header(std::string_view name, std::string_view value) {
        headers_.push_back({name.data(), name.size(), value.data(), value.size()});
        return *this;
    }
    request_options &body(std::string_view body) {
        // No body and an empty one are two things.
        config.body = reinterpret_cast<const std::uint8_t *>(body.data() == nullptr ? "" : body.data());
        config.body_len = body.size();
        return *this;
    }

    /// All other fields of the C struct, to be set as they are. The headers are those of header().
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;

    valtron_request_config filled() const {
        valtron_request_config all = config;
        if (!headers_.empty()) {
            all.headers = headers_.data();
            all.headers_count = headers_.size();
            all.headers_stride = sizeof(valtron_header);
        }
        return all;
    }

  private:
    std::vector<valtron_header> headers_;
};

/// A response's head. Valid as long as its request.
class head {
  public:
    int http_status() const noexcept { return raw_.http_status; }
    std::string_view url() const noexcept { return {raw_.url, raw_.url_len}; }
    std::string_view reason() const noexcept { return view(raw_.reason_offset, raw_.reason_len); }
    std::size_t size() const noexcept { return raw_.fields_count; }
    /// Name and value of one header line.
    std::pair<std::string_view, std::string_view> operator[](std::size_t index) const noexcept {
        const auto *at = reinterpret_cast<const char *>(raw_.fields) + index * raw_.field_stride;
        const auto &field = *reinterpret_cast<const valtron_field *>(at);
        return {view(field.name_offset, field.name_len), view(field.value_offset, field.value_len)};
    }
    /// The first line of this name, in whatever case; without data() if there is none.
    std::string_view find(std::string_view name) const noexcept {
        for (std::size_t index = 0; index < size(); index++) {
            const auto [other, value] = (*this)[index];
            if (same(other, name)) return value;
        }
        return {};
    }
    const valtron_head &raw() const noexcept { return raw_; }

  private:
    friend class request;
    static bool same(std::string_view a, std::string_view b) noexcept {
        const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
        if (a.size() != b.size()) return false;
        for (std::size_t at = 0; at < a.size(); at++)
            if (lower(a[at]) != lower(b[at])) return false;
        return true;
    }
    std::string_view view(std::uint32_t offset, std::uint32_t len) const noexcept {
        return {reinterpret_cast<const char *>(raw_.bytes) + offset, len};
    }

    valtron_head raw_ = VALTRON_HEAD_INIT;
};

/// Owns a request of a client, which must outlive it.
class request {
  public:
    request() noexcept = default;
    request(request &&other) noexcept
        : client_(std::exchange(other.client_, nullptr)), handle_(std::exchange(other.handle_, 0)) {}
    request &operator=(request &&other) noexcept {
        if (this != &other) {
            reset();
            client_ = std::exchange(other.client_, nullptr);
            handle_ = std::exchange(other.handle_, 0);
        }
        return *this;
    }
    request(const request &) = delete;
    request &operator=(const request &) = delete;
    ~request() { reset(); }

    /// Makes a request, which then runs as its client is driven, and frees what it owned. Refused, it keeps that.
    status create(client &client, const request_options &options) {
        const valtron_request_config config = options.filled();
        valtron_request made = 0;
        const status answer = valtron_request_create(client.raw(), &config, &made);
        if (answer.ok()) take(client, made);
        return answer;
    }
    /// The same and all of its work on this thread. The request exists also after VALTRON_E_WAIT_TIMEOUT and
    /// VALTRON_E_INTERRUPTED.
    status perform(client &client, const request_options &options, valtron_request_info &info,
                   std::uint32_t until = VALTRON_UNTIL_DONE, std::int32_t timeout_ms = -1) {
        const valtron_request_config config = options.filled();
        valtron_request made = 0;
        const status answer = valtron_client_perform(client.raw(), &config, until, timeout_ms, &made, &info);
        if (made != 0) take(client, made);
        return answer;
    }

    status poll(std::uint64_t budget_us, valtron_request_info &info) noexcept {
        return valtron_request_poll(client_, handle_, budget_us, &info);
    }
    status wait(valtron_request_info &info, std::uint32_t until = VALTRON_UNTIL_DONE,
                std::int32_t timeout_ms = -1) noexcept {
        return valtron_request_wait(client_, handle_, until, timeout_ms, &info);
    }
    status cancel() noexcept { return valtron_request_cancel(client_, handle_); }

    status head(class head &head, std::int32_t which = VALTRON_HEAD_FINAL) const noexcept {
        return valtron_request_head(client_, handle_, which, &head.raw_);
    }
    /// Body bytes in place, until consume, read or the request's end. None with ok(): the body's end.
    status peek(std::string_view &bytes) const noexcept {
        const std::uint8_t *start = nullptr;
        std::size_t len = 0;
        const status answer = valtron_request_peek(client_, handle_, &start, &len);
        if (answer.ok()) bytes = {reinterpret_cast<const char *>(start), len};
        return answer;
    }
    status consume(std::size_t len) noexcept { return valtron_request_consume(client_, handle_, len); }
    status read(void *buffer, std::size_t cap, std::size_t &len) noexcept {
        return valtron_request_read(client_, handle_, static_cast<std::uint8_t *>(buffer), cap, &len);
    }
    status error(valtron_error_detail &detail) const noexcept {
        return valtron_request_error(client_, handle_, &detail);
    }
    status url(std::string_view &url) const noexcept {
        const char *start = nullptr;
        std::size_t len = 0;
        const status answer = valtron_request_url(client_, handle_, &start, &len);
        if (answer.ok()) url = {start, len};
        return answer;
    }

    /// What events call it.
    valtron_request handle() const noexcept { return handle_; }
    /// Frees the request now.
    void reset() noexcept {
        if (handle_ != 0) valtron_request_free(client_, std::exchange(handle_, 0));
    }

  private:
    void take(client &client, valtron_request made) noexcept {
        reset();
        client_ = client.raw();
        handle_ = made;
    }

    valtron_client *client_ = nullptr;
    valtron_request handle_ = 0;
};

}  // namespace valtron

#endif  /* VALTRON_HTTP_HPP */
