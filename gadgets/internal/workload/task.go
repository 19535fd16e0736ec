// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"slices"
	"sync"
)

// Task causes events and returns them. The events of one thread are in the order in which they happened.
type Task[E any] func() ([]E, error)

// InTurn returns a task that runs tasks one after the other. It ends at the
// first that fails.
func InTurn[E any](tasks ...Task[E]) Task[E] {
	return func() ([]E, error) {
		var all []E
		for _, task := range tasks {
			events, err := task()
			if err != nil {
				return nil, err
			}
			all = append(all, events...)
		}
		return all, nil
	}
}

// AtOnce returns a task that runs tasks at the same time. It lists the events of each task after those of the task
// before.
func AtOnce[E any](tasks ...Task[E]) Task[E] {
	return func() ([]E, error) {
		var wg sync.WaitGroup
		events, errs := make([][]E, len(tasks)), make([]error, len(tasks))
		for i, task := range tasks {
			wg.Go(func() {
				errs[i] = try(func() (err error) {
					events[i], err = task()
					return err
				})
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		return slices.Concat(events...), nil
	}
}

// Times is AtOnce for n tasks that differ in a number.
func Times[E any](n int, task func(i int) Task[E]) Task[E] {
	tasks := make([]Task[E], n)
	for i := range tasks {
		tasks[i] = task(i)
	}
	return AtOnce(tasks...)
}
