#include "libs/base/task_pool.h"

#include <algorithm>
#include <utility>

namespace narthex::base {

TaskPool::~TaskPool() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
    posted_.NotifyAll();
  }
  for (std::thread& thread : threads) thread.join();
}

std::size_t TaskPool::HelpersOfMachine(std::size_t limit) {
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  return std::min(cores - 1, limit);
}

void TaskPool::Post(Task task) {
  MutexLock lock(mutex_);
  tasks_.push_back(std::move(task));
  while (threads_.size() < size_) {
    threads_.emplace_back([this] { Work(); });
  }
  posted_.NotifyOne();
}

void TaskPool::Work() {
  while (true) {
    Task task;
    {
      MutexLock lock(mutex_);
      while (!stopping_ && tasks_.empty()) posted_.Wait(mutex_);
      if (stopping_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace narthex::base
