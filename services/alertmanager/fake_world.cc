#include "services/alertmanager/fake_world.h"

#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"

namespace narthex::alertmanager {
namespace {

std::string HostOf(const std::string& url) {
  const std::size_t begin = url.find("://") + 3;
  return url.substr(begin, url.find('/', begin) - begin);
}

}  // namespace

void FakeReceivers::Send(http::FetchRequest request, Done done) {
  ++attempts;
  const std::int64_t now = loop_.clock().NowMs();
  const std::string host = HostOf(request.url);
  const Behaviour how = behaviour[host];
  const bool slow = now < how.delay_before_ms;
  http::FetchResult result;
  if (slow && request.timeout_ms < how.delay_ms) {
    result.status = absl::DeadlineExceededError("context deadline exceeded");
    loop_.At(now + request.timeout_ms,
             [done = std::move(done), result] { done(result); });
    return;
  }
  result.code = how.code != 0 ? how.code : now < how.fail_before_ms ? 500 : 200;
  if (result.code == 200 && !slow) {
    taken.push_back({host, now, request.body});
  }
  loop_.At(now + (slow ? how.delay_ms : 0),
           [done = std::move(done), result] { done(result); });
}

FakeWorld::FakeWorld(const std::string& config, base::FakeClock& clock,
                     const std::string& directory, AlertmanagerOptions options)
    : clock_(clock) {
  options.storage_path = directory;
  options.external_url = "http://am.test";
  auto made = Alertmanager::Create(
      options, clock_, registry_, base::Logger::Discard(),
      [this](EventLoop& loop) {
        auto receivers = std::make_unique<FakeReceivers>(loop);
        receivers_ = receivers.get();
        return receivers;
      });
  if (!made.ok()) throw std::runtime_error(made.status().ToString());
  alertmanager_ = *std::move(made);
  const absl::Status status = Reload(config);
  if (!status.ok()) throw std::runtime_error(status.ToString());
  api_ = std::make_unique<Api>(*alertmanager_, ApiOptions(), registry_);
  api_->Register(router_);
}

absl::Status FakeWorld::Reload(const std::string& config) {
  auto parsed = ParseConfig(config, "test.yml", ConfigOptions());
  if (!parsed.ok()) return parsed.status();
  return alertmanager_->ApplyConfig(*std::move(parsed));
}

void FakeWorld::RunUntil(std::int64_t at_ms, std::int64_t step_ms) {
  alertmanager_->loop().RunDue();
  while (clock_.NowMs() < at_ms) {
    clock_.Advance(std::min(step_ms, at_ms - clock_.NowMs()));
    alertmanager_->loop().RunDue();
  }
}

http::Response FakeWorld::Request(const std::string& method,
                                  const std::string& target,
                                  const std::string& body) {
  http::Request request = http::Request::Make(
      method, target, body, {{"Content-Type", "application/json"}});
  http::Response response;
  router_.Serve(request, response);
  return response;
}

std::string TimeText(std::int64_t ms) { return FormatApiTime(ms); }

}  // namespace narthex::alertmanager
