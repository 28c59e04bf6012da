#include "services/alertmanager/alertmanager.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/hash.h"
#include "libs/base/status.h"
#include "libs/http/client_config.h"
#include "libs/tmpl/alertmanager_functions.h"
#include "libs/tmpl/template.h"
#include "services/alertmanager/webhook.h"

namespace narthex::alertmanager {
namespace {

// How long a reload waits for attempts under way, so that the next
// configuration's groups know of them.
constexpr std::int64_t kReloadWaitMs = 5000;

absl::StatusOr<std::shared_ptr<const tmpl::TemplateSet>> LoadTemplates(
    const Config& config, base::Clock& clock) {
  auto set = std::make_shared<tmpl::TemplateSet>(
      tmpl::AlertmanagerFunctions([&clock] { return clock.NowMs(); }));
  for (const std::string& pattern : config.templates) {
    for (const std::string& file : base::Glob(pattern)) {
      NARTHEX_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(file));
      const std::string name = file.substr(file.rfind('/') + 1);
      if (absl::Status status = set->Parse(name, text); !status.ok()) {
        return base::Annotate(status, absl::StrCat("template file ", file));
      }
    }
  }
  return std::shared_ptr<const tmpl::TemplateSet>(std::move(set));
}

/// 48 bits, since a gauge holds no more exactly.
double ConfigHash(const Config& config) {
  return static_cast<double>(base::XxHash64(config.source) >> 16);
}

}  // namespace

Alertmanager::Alertmanager(AlertmanagerOptions options, base::Clock& clock,
                           metrics::Registry& registry, base::Logger log)
    : options_(std::move(options)),
      clock_(clock),
      log_(std::move(log)),
      metrics_(registry),
      start_time_ms_(clock.NowMs()),
      alerts_(clock, static_cast<std::size_t>(std::max<std::int64_t>(
                         options_.per_alertname_limit, 0))),
      loop_(clock) {}

absl::StatusOr<std::unique_ptr<Alertmanager>> Alertmanager::Create(
    AlertmanagerOptions options, base::Clock& clock,
    metrics::Registry& registry, base::Logger log,
    const SenderFactory& make_sender) {
  std::unique_ptr<Alertmanager> self(
      new Alertmanager(std::move(options), clock, registry, std::move(log)));
  NARTHEX_ASSIGN_OR_RETURN(self->store_,
                           StateStore::Open(self->options_.storage_path));
  SilencesOptions silences;
  silences.retention_ms = self->options_.retention_ms;
  silences.max_silences = self->options_.max_silences;
  silences.max_silence_bytes = self->options_.max_silence_bytes;
  NARTHEX_ASSIGN_OR_RETURN(
      self->silences_,
      Silences::Load(*self->store_, clock, silences, self->log_));
  NARTHEX_ASSIGN_OR_RETURN(
      self->notification_log_,
      NotificationLog::Load(*self->store_, clock, self->options_.retention_ms,
                            self->log_));
  self->sender_ = make_sender(self->loop_);
  self->RegisterGauges(registry);
  self->Every(self->options_.maintenance_interval_ms,
              [raw = self.get()] { raw->Maintain(); });
  self->Every(self->options_.alert_gc_interval_ms,
              [raw = self.get()] { raw->alerts_.CollectGarbage(); });
  return self;
}

Alertmanager::~Alertmanager() { Stop(/*wait_ms=*/0); }

void Alertmanager::Every(std::int64_t interval_ms, std::function<void()> work) {
  loop_.At(clock_.NowMs() + interval_ms,
           [this, interval_ms, work = std::move(work)] {
             work();
             Every(interval_ms, work);
           });
}

void Alertmanager::Maintain() {
  const absl::Status silences = silences_->CollectGarbage();
  const absl::Status log = notification_log_->CollectGarbage();
  metrics_.MaintenanceDone(silences.ok(), log.ok());
  for (const absl::Status& status : {silences, log}) {
    if (!status.ok()) {
      log_.Error("maintenance of stored state failed",
                 {{"err", status.message()}});
    }
  }
  if (const auto generation = this->generation()) {
    generation->inhibitor->CollectGarbage(clock_.NowMs());
  }
}

absl::StatusOr<Receivers> Alertmanager::BuildReceivers(const Config& config) {
  NARTHEX_ASSIGN_OR_RETURN(const auto templates, LoadTemplates(config, clock_));
  Receivers receivers;
  for (const ReceiverConfig& receiver : config.receivers) {
    std::vector<Integration>& integrations = receivers[receiver.name];
    for (const WebhookConfig& webhook : receiver.webhooks) {
      Integration& integration = integrations.emplace_back();
      integration.kind = "webhook";
      integration.index = integrations.size() - 1;
      integration.send_resolved = webhook.send_resolved;
      integration.notifier = std::make_unique<WebhookNotifier>(
          webhook, std::make_shared<http::ClientConfig>(webhook.http),
          templates, options_.external_url, *sender_, clock_);
    }
  }
  return receivers;
}

absl::Status Alertmanager::ApplyConfig(Config config) {
  base::MutexLock apply_lock(apply_mutex_);
  PipelineParts parts;
  auto receivers = BuildReceivers(config);
  if (!receivers.ok()) {
    metrics_.ConfigFailed();
    return receivers.status();
  }
  std::size_t integrations = 0;
  for (const auto& [name, list] : *receivers) integrations += list.size();
  parts.receivers = *std::move(receivers);

  auto next = std::make_shared<Generation>();
  next->route = Route::Build(config.route);
  next->inhibitor = std::make_shared<Inhibitor>(config.inhibit_rules);
  parts.inhibitor = next->inhibitor;
  parts.time_intervals = config.time_intervals;
  parts.silences = silences_.get();
  parts.log = notification_log_.get();
  parts.loop = &loop_;
  parts.metrics = &metrics_;
  next->pipeline = std::make_shared<Pipeline>(std::move(parts), log_);
  next->dispatcher = std::make_shared<Dispatcher>(
      next->route, loop_, next->pipeline, options_.dispatcher);
  metrics_.SetShape(config.inhibit_rules.size(), integrations);
  metrics_.ConfigLoaded(ConfigHash(config), clock_.NowMs());
  next->config = std::move(config);

  if (const auto old = generation()) old->dispatcher->Stop(kReloadWaitMs);
  next->dispatcher->Start();
  {
    base::MutexLock lock(mutex_);
    generation_ = next;
  }
  // From here on alerts go to the new groups, beginning with all there are.
  alerts_.SetSink(this);
  return absl::OkStatus();
}

void Alertmanager::OnAlerts(const std::vector<Alert>& alerts) {
  const auto generation = this->generation();
  // Sources first: what they inhibit may be in the same batch.
  generation->inhibitor->Observe(alerts);
  generation->dispatcher->Insert(alerts);
}

std::shared_ptr<const Generation> Alertmanager::generation() const {
  base::ReaderMutexLock lock(mutex_);
  return generation_;
}

void Alertmanager::Start() { loop_.Start(); }

void Alertmanager::Stop(std::int64_t wait_ms) {
  alerts_.SetSink(nullptr);
  if (const auto generation = this->generation()) {
    generation->dispatcher->Stop(wait_ms);
  }
  loop_.Stop();
  sender_.reset();
}

AlertStatus Alertmanager::StatusOf(const Generation& generation,
                                   const Alert& alert) const {
  AlertStatus status;
  const std::int64_t now = clock_.NowMs();
  status.silenced_by = silences_->MutedBy(alert.labels(), now);
  if (const auto source =
          generation.inhibitor->InhibitedBy(alert.labels(), now)) {
    status.inhibited_by.push_back(FormatFingerprint(*source));
  }
  return status;
}

std::size_t Alertmanager::CountAlerts(bool suppressed) const {
  const auto generation = this->generation();
  if (generation == nullptr) return 0;
  const std::int64_t now = clock_.NowMs();
  std::size_t count = 0;
  for (const Alert& alert : alerts_.All()) {
    const bool is_suppressed =
        silences_->Mutes(alert.labels(), now) ||
        generation->inhibitor->InhibitedBy(alert.labels(), now).has_value();
    count += is_suppressed == suppressed ? 1 : 0;
  }
  return count;
}

void Alertmanager::RegisterGauges(metrics::Registry& registry) {
  for (const bool suppressed : {false, true}) {
    registry.NewGaugeFunction(
        "alertmanager_alerts", "How many alerts by state.",
        [this, suppressed] {
          return static_cast<double>(CountAlerts(suppressed));
        },
        {{"state", suppressed ? "suppressed" : "active"}});
  }
  registry
      .NewGauge("alertmanager_alerts", "How many alerts by state.",
                {{"state", "unprocessed"}})
      .Set(0);
  for (const SilenceState state :
       {SilenceState::kPending, SilenceState::kActive,
        SilenceState::kExpired}) {
    registry.NewGaugeFunction(
        "alertmanager_silences", "How many silences by state.",
        [this, state] { return static_cast<double>(silences_->Count(state)); },
        {{"state", std::string(SilenceStateName(state))}});
  }
  registry.NewGaugeFunction(
      "alertmanager_dispatcher_aggregation_groups",
      "Number of active aggregation groups", [this] {
        const auto generation = this->generation();
        return generation == nullptr
                   ? 0.0
                   : static_cast<double>(generation->dispatcher->group_count());
      });
  registry.NewGaugeFunction(
      "alertmanager_alerts_per_alert_limit",
      "Current limit on number of alerts per alert name",
      [this] { return static_cast<double>(options_.per_alertname_limit); });
  registry.NewCounterFunction(
      "alertmanager_alerts_limited_total",
      "Total number of alerts that were dropped due to per alert name limit",
      [this] { return static_cast<double>(alerts_.limited_total()); });
  registry.NewGaugeFunction(
      "narthex_alertmanager_notification_log_entries",
      "Entries of the notification log.",
      [this] { return static_cast<double>(notification_log_->size()); });
  registry.NewGauge("alertmanager_cluster_enabled",
                    "Indicates whether the clustering is enabled or not.");
  registry
      .NewGauge("alertmanager_build_info",
                "What the Alertmanager was built from, always 1.",
                {{"version", options_.version}})
      .Set(1);
}

}  // namespace narthex::alertmanager
