#include "libs/base/workers.h"

namespace narthex::base {

Workers::Workers(std::size_t threads) {
  for (std::size_t i = 1; i < threads; ++i) {
    threads_.emplace_back([this, i] { Work(i); });
  }
}

Workers::~Workers() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    begun_.NotifyAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

void Workers::TakeShare(std::size_t rounds, const Body& body,
                        std::size_t worker) {
  for (std::size_t i = next_.fetch_add(1); i < rounds; i = next_.fetch_add(1)) {
    body(i, worker);
  }
}

void Workers::Run(std::size_t rounds, const Body& body) {
  if (threads_.empty() || rounds <= 1) {
    for (std::size_t i = 0; i < rounds; ++i) body(i, 0);
    return;
  }
  {
    MutexLock lock(mutex_);
    next_.store(0);
    body_ = &body;
    rounds_ = rounds;
    busy_ = threads_.size();
    ++loop_;
    begun_.NotifyAll();
  }
  TakeShare(rounds, body, 0);
  MutexLock lock(mutex_);
  while (busy_ > 0) ended_.Wait(mutex_);
}

void Workers::Work(std::size_t worker) {
  std::uint64_t seen = 0;
  while (true) {
    const Body* body = nullptr;
    std::size_t rounds = 0;
    {
      MutexLock lock(mutex_);
      while (!stopping_ && loop_ == seen) begun_.Wait(mutex_);
      if (stopping_) return;
      seen = loop_;
      body = body_;
      rounds = rounds_;
    }
    TakeShare(rounds, *body, worker);
    MutexLock lock(mutex_);
    if (--busy_ == 0) ended_.NotifyAll();
  }
}

}  // namespace narthex::base
