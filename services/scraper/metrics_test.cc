#include "services/scraper/metrics.h"

#include <catch2/catch.hpp>

namespace narthex::scraper {

using storage::RejectReason;

TEST_CASE("markers and reports that come too late are no refused samples") {
  metrics::Registry registry;
  Metrics metrics(registry);
  for (const bool exposed : {true, false}) {
    metrics.CountRefusal(RejectReason::kOutOfOrder, exposed);
    metrics.CountRefusal(RejectReason::kDuplicate, exposed);
    metrics.CountRefusal(RejectReason::kTooOld, exposed);
  }
  CHECK(metrics.out_of_order.value() == 1);
  CHECK(metrics.duplicate_timestamp.value() == 1);
  CHECK(metrics.out_of_bounds.value() == 2);
}

TEST_CASE("exemplars out of order count when all of their sample are") {
  const RejectReason kLate = RejectReason::kOutOfOrder;
  const struct {
    std::vector<storage::Rejection> refused;
    double out_of_order;
    double otherwise;
  } kRows[] = {
      {{}, 0, 0},
      {{{0, kLate}}, 1, 0},
      {{{1, kLate}}, 0, 0},
      {{{1, kLate}, {2, kLate}}, 0, 0},
      {{{1, kLate}, {2, kLate}, {3, kLate}}, 3, 0},
      {{{0, kLate}, {3, kLate}, {4, kLate}, {5, kLate}}, 3, 0},
      {{{1, kLate}, {2, RejectReason::kInvalid}, {3, kLate}}, 0, 1},
      {{{4, RejectReason::kUnknownSeries}, {5, kLate}}, 0, 1},
  };
  for (const auto& row : kRows) {
    metrics::Registry registry;
    Metrics metrics(registry);
    metrics.CountRefusedExemplars({7, 8, 8, 8, 9, 9}, row.refused);
    CHECK(metrics.exemplar_out_of_order.value() == row.out_of_order);
    CHECK(metrics.exemplars_refused.value() == row.otherwise);
  }
}

}  // namespace narthex::scraper
