#include "libs/cluster/fragment_wire.h"

#include <algorithm>

#include "narthex/v1/ingester.pb.h"

namespace narthex::cluster {

void ToWire(const promql::Fragment& fragment, v1::EvaluateRequest* out) {
  out->set_expression(fragment.expression);
  out->set_start_ms(fragment.start_ms);
  out->set_end_ms(fragment.end_ms);
  out->set_step_ms(fragment.step_ms);
  out->set_node(fragment.node);
  out->set_node_text(fragment.node_text);
  out->set_grid_start_ms(fragment.grid.start_ms);
  out->set_grid_step_ms(fragment.grid.step_ms);
  out->set_grid_steps(fragment.grid.count);
  out->set_experimental_functions(fragment.parser.experimental_functions);
  out->set_extended_range_selectors(fragment.parser.extended_range_selectors);
  out->set_fill_modifiers(fragment.parser.fill_modifiers);
  const promql::EvaluationSettings& settings = fragment.settings;
  out->set_lookback_ms(settings.lookback_delta_ms);
  out->set_default_subquery_step_ms(settings.default_subquery_step_ms);
  out->set_max_samples(settings.max_samples);
  out->set_delayed_name_removal(settings.delayed_name_removal);
  out->set_type_and_unit_labels(settings.type_and_unit_labels);
  out->set_max_bytes(settings.max_bytes);
  out->set_explain(settings.explain);
  out->set_use_start_timestamps(settings.use_start_timestamps);
  out->set_part(fragment.part);
  out->set_propagate_matchers(fragment.propagate_matchers);
  if (settings.progress != nullptr) out->set_query_id(settings.progress->id);
}

promql::Fragment FromWire(const v1::EvaluateRequest& request) {
  promql::Fragment fragment;
  fragment.expression = request.expression();
  fragment.start_ms = request.start_ms();
  fragment.end_ms = request.end_ms();
  fragment.step_ms = request.step_ms();
  fragment.node = request.node();
  fragment.node_text = request.node_text();
  fragment.grid = {request.grid_start_ms(), request.grid_step_ms(),
                   request.grid_steps()};
  fragment.parser.experimental_functions = request.experimental_functions();
  fragment.parser.extended_range_selectors = request.extended_range_selectors();
  fragment.parser.fill_modifiers = request.fill_modifiers();
  promql::EvaluationSettings& settings = fragment.settings;
  settings.lookback_delta_ms = request.lookback_ms();
  settings.default_subquery_step_ms =
      std::max<std::int64_t>(request.default_subquery_step_ms(), 1);
  settings.max_samples = request.max_samples();
  settings.delayed_name_removal = request.delayed_name_removal();
  settings.type_and_unit_labels = request.type_and_unit_labels();
  settings.step_ms = request.step_ms();
  settings.max_bytes = request.max_bytes();
  settings.explain = request.explain();
  settings.use_start_timestamps = request.use_start_timestamps();
  fragment.part = request.part();
  fragment.propagate_matchers = request.propagate_matchers();
  fragment.places =
      static_cast<std::size_t>(std::max(request.members_size(), 1));
  return fragment;
}

namespace {

using Annotation = promql::Annotations::Entry;

void ToWire(const Annotation& entry, v1::EvaluateAnnotation* out) {
  out->set_info(entry.level == promql::Annotations::Level::kInfo);
  out->set_text(entry.text);
  out->set_overlaps(entry.overlaps);
  if (entry.position.has_value()) {
    out->set_start(entry.position->start);
    out->set_end(entry.position->end);
  }
  if (!entry.monotonicity.has_value()) return;
  v1::EvaluateMonotonicity& where = *out->mutable_monotonicity();
  where.set_min_ms(entry.monotonicity->min_ms);
  where.set_max_ms(entry.monotonicity->max_ms);
  where.set_min_bucket(entry.monotonicity->min_bucket);
  where.set_max_bucket(entry.monotonicity->max_bucket);
  where.set_max_difference(entry.monotonicity->max_difference);
  where.set_occurrences(entry.monotonicity->occurrences);
}

Annotation FromWire(const v1::EvaluateAnnotation& wire) {
  Annotation entry;
  entry.level = wire.info() ? promql::Annotations::Level::kInfo
                            : promql::Annotations::Level::kWarning;
  entry.text = wire.text();
  entry.overlaps = wire.overlaps();
  if (wire.has_start()) entry.position = {wire.start(), wire.end()};
  if (wire.has_monotonicity()) {
    const v1::EvaluateMonotonicity& where = wire.monotonicity();
    entry.monotonicity = {where.min_ms(),         where.max_ms(),
                          where.min_bucket(),     where.max_bucket(),
                          where.max_difference(), where.occurrences()};
  }
  return entry;
}

}  // namespace

void ToWire(const promql::FragmentReply& reply, v1::EvaluateResponse* out) {
  for (const Annotation& entry : reply.annotations.entries()) {
    ToWire(entry, out->add_annotations());
  }
  v1::EvaluateStats& stats = *out->mutable_stats();
  stats.set_total_samples(reply.stats.seen.total);
  stats.set_samples_read(reply.stats.read);
  stats.set_series_read(reply.stats.series);
  stats.set_peak_samples(reply.stats.peak);
  stats.set_duration_ns(reply.duration_ns);
  for (const promql::NodeTrace& trace : reply.nodes) {
    v1::EvaluateNode& node = *out->add_nodes();
    node.set_node(trace.node);
    node.set_duration_ns(trace.duration_ns);
    node.set_columns(trace.columns);
    node.set_series_read(trace.series_read);
    node.set_samples_read(trace.samples_read);
    if (trace.same_as.has_value()) node.set_same_as(*trace.same_as);
  }
}

void AddTo(const v1::EvaluateResponse& response, promql::FragmentReply* reply) {
  for (const std::string& text : response.warnings()) {
    reply->annotations.AddStorageWarning(text);
  }
  for (const std::string& text : response.infos()) {
    reply->annotations.AddStorageInfo(text);
  }
  for (const v1::EvaluateAnnotation& wire : response.annotations()) {
    reply->annotations.Merge(FromWire(wire));
  }
  for (const v1::EvaluateNode& node : response.nodes()) {
    promql::NodeTrace& trace = reply->nodes.emplace_back();
    trace = {node.node(), node.duration_ns(), node.columns(),
             node.series_read(), node.samples_read()};
    if (node.has_same_as()) trace.same_as = node.same_as();
  }
  if (!response.has_stats()) return;
  const v1::EvaluateStats& stats = response.stats();
  reply->stats.seen.total += stats.total_samples();
  reply->stats.read += stats.samples_read();
  reply->stats.series += stats.series_read();
  reply->stats.peak = std::max(reply->stats.peak, stats.peak_samples());
  reply->duration_ns += stats.duration_ns();
}

}  // namespace narthex::cluster
