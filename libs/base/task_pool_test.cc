#include "libs/base/task_pool.h"

#include <atomic>
#include <catch2/catch.hpp>

namespace narthex::base {
namespace {

TEST_CASE("a pool runs all that is posted, by several threads at once") {
  Mutex mutex;
  CondVar changed;
  int inside = 0;
  int done = 0;
  TaskPool pool(2);
  // Each of a pair waits for the other.
  for (int i = 0; i < 10; ++i) {
    pool.Post([&] {
      MutexLock lock(mutex);
      const int pair = inside++ / 2;
      changed.NotifyAll();
      while (inside < 2 * (pair + 1)) changed.Wait(mutex);
      ++done;
      changed.NotifyAll();
    });
  }
  MutexLock lock(mutex);
  while (done < 10) changed.Wait(mutex);
  CHECK(inside == 10);
}

TEST_CASE("the end of a pool waits for tasks that have begun, drops others") {
  Mutex mutex;
  CondVar changed;
  bool begun = false;
  std::atomic<int> ended{0};
  {
    TaskPool pool(1);
    pool.Post([&] {
      {
        MutexLock lock(mutex);
        begun = true;
        changed.NotifyAll();
      }
      ++ended;
    });
    MutexLock lock(mutex);
    while (!begun) changed.Wait(mutex);
  }
  CHECK(ended == 1);
}

TEST_CASE("a machine has no more helpers than the limit allows") {
  CHECK(TaskPool::HelpersOfMachine(0) == 0);
  CHECK(TaskPool::HelpersOfMachine(3) <= 3);
}

}  // namespace
}  // namespace narthex::base
