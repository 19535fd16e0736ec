// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"slices"
	"sync"
)

// Run causes the events and returns them.
func Run() ([]Event, error) {
	var wg sync.WaitGroup
	var slow []Event
	var slowErr error
	wg.Go(func() { // it takes seconds until nobody has answered
		slow, slowErr = onThread(part{"tcp-timeout", unanswered})
	})
	events, err := onThreads(parts())
	wg.Wait()
	if err := errors.Join(err, slowErr); err != nil {
		return nil, err
	}
	last, err := onThread(part{"tcp-no-fd", withoutDescriptors}) // with nobody else
	return slices.Concat(events, slow, last), err
}

func onThreads(parts []part) ([]Event, error) {
	var events []Event
	for _, p := range parts {
		more, err := onThread(p)
		if err != nil {
			return nil, err
		}
		events = append(events, more...)
	}
	return events, nil
}

func parts() []part {
	var list []part
	for _, n := range []struct {
		name string
		network
	}{{"4", ipv4()}, {"6", ipv6()}, {"4in6", mapped()}} {
		with := func(f func(*thread, network) error) func(*thread) error {
			return func(t *thread) error { return f(t, n.network) }
		}
		list = append(list,
			part{"tcp-ends-" + n.name, with(closings)},
			part{"tcp-refused-" + n.name, with(refusals)},
			part{"tcp-a-name-longer-than-comm", with(nonBlocking)},
		)
	}
	return append(list,
		part{"tcp-failures", failures},
		part{"tcp-given-up", givenUp},
		part{"tcp-itself", toItself},
		part{"tcp-fast-open", fastOpen},
		part{"tcp-accepts", accepts},
		part{"tcp-passed-on", acrossThreads},
		part{"tcp-exit", byExit},
		part{"tcp-orphan", orphan},
		part{"tcp-network", inOwnNetwork},
		part{"tcp-others", noTCP},
		part{"tcp-32-bit", compat},
	)
}
