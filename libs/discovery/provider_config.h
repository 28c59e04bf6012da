#pragma once

#include <memory>
#include <string>
#include <utility>

#include "libs/discovery/provider.h"
#include "libs/yaml/emitter.h"

namespace narthex::discovery {

/// One entry of a list "<kind>_sd_configs", of whatever kind: a value.
class ProviderConfig {
 public:
  /// `Config` is the struct of one kind: it has == and, beside it,
  ///   absl::Status Decode(const yaml::Node&, Config*);
  ///   void Emit(const Config&, yaml::Emitter*);  // The whole map.
  ///   void SetDirectory(const std::string&, Config*);
  ///   std::unique_ptr<Provider> MakeProvider(const Config&,
  ///                                          const ProviderContext&);
  template <typename Config>
  static ProviderConfig Of(Config config) {
    return ProviderConfig(
        std::make_shared<const ValueOf<Config>>(std::move(config)));
  }

  /// The struct within, null when it is of another kind.
  template <typename Config>
  const Config* As() const {
    const auto* value = dynamic_cast<const ValueOf<Config>*>(value_.get());
    return value == nullptr ? nullptr : &value->config;
  }

  void Print(yaml::Emitter* out) const { value_->Print(out); }
  /// Makes relative paths begin at `directory`.
  void MovePaths(const std::string& directory) {
    value_ = value_->Moved(directory);
  }
  std::unique_ptr<Provider> Make(const ProviderContext& context) const {
    return value_->Make(context);
  }

  friend bool operator==(const ProviderConfig& a, const ProviderConfig& b) {
    return a.value_ == b.value_ || a.value_->Equals(*b.value_);
  }

 private:
  struct Value {
    virtual ~Value() = default;
    virtual void Print(yaml::Emitter* out) const = 0;
    virtual std::shared_ptr<const Value> Moved(
        const std::string& directory) const = 0;
    virtual std::unique_ptr<Provider> Make(
        const ProviderContext& context) const = 0;
    virtual bool Equals(const Value& other) const = 0;
  };

  template <typename Config>
  struct ValueOf final : Value {
    explicit ValueOf(Config value) : config(std::move(value)) {}
    void Print(yaml::Emitter* out) const override { Emit(config, out); }
    std::shared_ptr<const Value> Moved(
        const std::string& directory) const override {
      Config moved = config;
      SetDirectory(directory, &moved);
      return std::make_shared<const ValueOf>(std::move(moved));
    }
    std::unique_ptr<Provider> Make(
        const ProviderContext& context) const override {
      return MakeProvider(config, context);
    }
    bool Equals(const Value& other) const override {
      const auto* same = dynamic_cast<const ValueOf*>(&other);
      return same != nullptr && same->config == config;
    }
    const Config config;
  };

  explicit ProviderConfig(std::shared_ptr<const Value> value)
      : value_(std::move(value)) {}

  std::shared_ptr<const Value> value_;
};

}  // namespace narthex::discovery
