#include "services/scraper/family_labels.h"

#include <catch2/catch.hpp>

namespace narthex::scraper {
namespace {

using model::MetricType;

std::string Labelled(const FamilyLabels& family, model::Labels labels) {
  family.AddTo(&labels);
  return labels.ToMetricString();
}

}  // namespace

TEST_CASE("series get type and unit of the family they belong to") {
  FamilyLabels family;
  CHECK(Labelled(family, {{"__name__", "a"}}) == "a");
  family.SetType("a_seconds", MetricType::kCounter);
  family.SetUnit("a_seconds", "seconds");
  const std::string both = "{__type__=\"counter\", __unit__=\"seconds\"}";
  CHECK(Labelled(family, {{"__name__", "a_seconds_total"}}) ==
        "a_seconds_total" + both);
  CHECK(Labelled(family, {{"__name__", "a_seconds"}}) == "a_seconds" + both);
  // Without metadata of its own, and so without these labels.
  CHECK(Labelled(family, {{"__name__", "a_seconds_more"}}) == "a_seconds_more");
  CHECK(Labelled(family, {{"__name__", "b"}}) == "b");
  family.SetType("b", MetricType::kGauge);
  CHECK(Labelled(family, {{"__name__", "b"}}) == "b{__type__=\"gauge\"}");
  CHECK(Labelled(family, {{"__name__", "b_count"}}) == "b_count");
  family.SetUnit("c_x", "x");
  CHECK(Labelled(family, {{"__name__", "c_x"}}) == "c_x{__unit__=\"x\"}");
}

TEST_CASE("what metadata tells replaces what the target labels itself") {
  FamilyLabels family;
  const model::Labels own{
      {"__name__", "a"}, {"__type__", "x"}, {"__unit__", "y"}};
  family.SetType("a", MetricType::kUnknown);
  CHECK(Labelled(family, own) == "a{__type__=\"x\", __unit__=\"y\"}");
  family.SetType("a", MetricType::kGauge);
  CHECK(Labelled(family, own) == "a{__type__=\"gauge\", __unit__=\"y\"}");
}

TEST_CASE("another type or unit is another hash") {
  FamilyLabels family;
  family.SetType("a", MetricType::kGauge);
  const std::uint32_t gauge = family.hash();
  family.SetType("a", MetricType::kCounter);
  const std::uint32_t counter = family.hash();
  CHECK(gauge != counter);
  family.SetUnit("a", "s");
  CHECK(family.hash() != counter);
  // The same type of another family is not that of the same series.
  family.SetType("b", MetricType::kGauge);
  CHECK(family.hash() != gauge);
  family.SetType("a", MetricType::kGauge);
  CHECK(family.hash() == gauge);
}

}  // namespace narthex::scraper
