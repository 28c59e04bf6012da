#include "libs/promql/group_columns.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "libs/base/status.h"
#include "libs/promql/column.h"
#include "libs/promql/kahan.h"
#include "libs/promql/quantile.h"

namespace narthex::promql {
namespace {

class SumColumns : public GroupColumns {
 public:
  explicit SumColumns(std::size_t steps)
      : sum_(steps, Absent()), compensation_(steps, 0) {}
  void Add(const std::vector<double>& values) override {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (IsAbsent(values[i])) continue;
      if (IsAbsent(sum_[i])) {
        sum_[i] = values[i];
      } else {
        KahanAdd(values[i], &sum_[i], &compensation_[i]);
      }
    }
  }
  bool Has(std::size_t step) const override { return IsPresent(sum_[step]); }
  absl::StatusOr<std::vector<double>> Finish(AliveCheck&) override {
    for (std::size_t i = 0; i < sum_.size(); ++i) {
      if (IsPresent(sum_[i])) sum_[i] += compensation_[i];
    }
    return std::move(sum_);
  }
  std::vector<std::vector<double>> Parts() override {
    return {std::move(sum_), std::move(compensation_)};
  }
  void AddPart(std::size_t part, const std::vector<double>& values) override {
    if (part == 0) return Add(values);
    for (std::size_t i = 0; i < values.size(); ++i) {
      compensation_[i] += values[i];
    }
  }

 private:
  std::vector<double> sum_;
  std::vector<double> compensation_;
};

class AvgColumns : public GroupColumns {
 public:
  explicit AvgColumns(std::size_t steps) : means_(steps) {}
  void Add(const std::vector<double>& values) override {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (IsPresent(values[i])) means_[i].Add(values[i]);
    }
  }
  bool Has(std::size_t step) const override { return means_[step].count > 0; }
  std::vector<std::vector<double>> Parts() override {
    std::vector<std::vector<double>> parts(
        3, std::vector<double>(means_.size(), Absent()));
    for (std::size_t i = 0; i < means_.size(); ++i) {
      if (means_[i].count == 0) continue;
      parts[0][i] = means_[i].sum;
      parts[1][i] = means_[i].compensation;
      parts[2][i] = means_[i].count;
    }
    return parts;
  }
  void AddPart(std::size_t part, const std::vector<double>& values) override {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (IsAbsent(values[i])) continue;
      CompensatedMean& mean = means_[i];
      if (part == 0) {
        base::KahanAdd(values[i], &mean.sum, &mean.compensation);
      } else {
        (part == 1 ? mean.compensation : mean.count) += values[i];
      }
    }
  }
  bool DependsOnOrder() const override {
    return std::any_of(means_.begin(), means_.end(),
                       [](const CompensatedMean& mean) {
                         return mean.incremental || std::isinf(mean.sum);
                       });
  }
  absl::StatusOr<std::vector<double>> Finish(AliveCheck&) override {
    std::vector<double> results(means_.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      results[i] = means_[i].count == 0 ? Absent() : means_[i].Mean();
    }
    return results;
  }

 private:
  std::vector<CompensatedMean> means_;
};

/// min, max, group and count: one number a step, changed by kCombine.
template <double (*kFirst)(double), double (*kCombine)(double, double)>
class FoldColumns : public GroupColumns {
 public:
  explicit FoldColumns(std::size_t steps) : values_(steps, Absent()) {}
  void Add(const std::vector<double>& values) override {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (IsAbsent(values[i])) continue;
      values_[i] = IsAbsent(values_[i]) ? kFirst(values[i])
                                        : kCombine(values_[i], values[i]);
    }
  }
  absl::StatusOr<std::vector<double>> Finish(AliveCheck&) override {
    return std::move(values_);
  }

 private:
  std::vector<double> values_;
};

double Itself(double value) { return value; }
double One(double) { return 1; }
double Keep(double held, double) { return held; }
double Next(double held, double) { return held + 1; }
double Larger(double held, double value) {
  return held < value || std::isnan(held) ? value : held;
}
double Smaller(double held, double value) {
  return held > value || std::isnan(held) ? value : held;
}

/// stddev and stdvar, after Welford.
class VarianceColumns : public GroupColumns {
 public:
  VarianceColumns(std::size_t steps, bool root) : steps_(steps), root_(root) {}
  void Add(const std::vector<double>& values) override {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (IsPresent(values[i])) AddTo(values[i], &steps_[i]);
    }
  }
  absl::StatusOr<std::vector<double>> Finish(AliveCheck&) override {
    std::vector<double> results(steps_.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      const double variance = steps_[i].squares / steps_[i].count;
      results[i] = root_ ? std::sqrt(variance) : variance;
      if (steps_[i].count == 0) results[i] = Absent();
    }
    return results;
  }

 private:
  struct Step {
    double count = 0;
    double mean = 0;
    double squares = 0;
  };
  static void AddTo(double value, Step* step) {
    step->count += 1;
    if (step->count == 1) {
      step->mean = value;
      step->squares =
          std::isfinite(value) ? 0 : std::numeric_limits<double>::quiet_NaN();
      return;
    }
    const double delta = value - step->mean;
    step->mean += delta / step->count;
    step->squares += delta * (value - step->mean);
  }

  std::vector<Step> steps_;
  const bool root_;
};

class QuantileColumns : public GroupColumns {
 public:
  explicit QuantileColumns(const std::vector<double>& phi)
      : phi_(phi), values_(phi.size()) {}
  void Add(const std::vector<double>& values) override {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (IsPresent(values[i])) values_[i].push_back(values[i]);
    }
  }
  absl::StatusOr<std::vector<double>> Finish(AliveCheck& alive) override {
    std::vector<double> results(values_.size(), Absent());
    for (std::size_t i = 0; i < results.size(); ++i) {
      NARTHEX_RETURN_IF_ERROR(alive.Pass(values_[i].size()));
      if (!values_[i].empty()) results[i] = Quantile(phi_[i], &values_[i]);
    }
    return results;
  }

 private:
  const std::vector<double>& phi_;
  std::vector<std::vector<double>> values_;
};

}  // namespace

std::unique_ptr<GroupColumns> NewGroup(AggregateOp op, std::size_t steps,
                                       const std::vector<double>& parameter) {
  switch (op) {
    case AggregateOp::kSum:
      return std::make_unique<SumColumns>(steps);
    case AggregateOp::kAvg:
      return std::make_unique<AvgColumns>(steps);
    case AggregateOp::kMin:
      return std::make_unique<FoldColumns<Itself, Smaller>>(steps);
    case AggregateOp::kMax:
      return std::make_unique<FoldColumns<Itself, Larger>>(steps);
    case AggregateOp::kCount:
      return std::make_unique<FoldColumns<One, Next>>(steps);
    case AggregateOp::kStddev:
    case AggregateOp::kStdvar:
      return std::make_unique<VarianceColumns>(steps,
                                               op == AggregateOp::kStddev);
    case AggregateOp::kQuantile:
      return std::make_unique<QuantileColumns>(parameter);
    default:
      return std::make_unique<FoldColumns<One, Keep>>(steps);
  }
}

}  // namespace narthex::promql
