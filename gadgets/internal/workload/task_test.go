// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"slices"
	"testing"
)

func just(events ...int) Task[int] { return func() ([]int, error) { return events, nil } }

func failing(err error) Task[int] { return func() ([]int, error) { return []int{0}, err } }

func TestInTurn(t *testing.T) {
	t.Parallel()
	var did []int
	note := func(n int) Task[int] {
		return func() ([]int, error) {
			did = append(did, n)
			return []int{n, n}, nil
		}
	}
	got, err := InTurn(note(1), InTurn[int](), InTurn(note(2), note(3)))()
	if want := []int{1, 1, 2, 2, 3, 3}; err != nil || !slices.Equal(got, want) || !slices.Equal(did, []int{1, 2, 3}) {
		t.Errorf("got %v, %v after %v; want %v", got, err, did, want)
	}
	did = nil
	no := errors.New("no")
	if got, err := InTurn(note(1), failing(no), note(2))(); err != no || got != nil || !slices.Equal(did, []int{1}) {
		t.Errorf("got %v, %v after %v", got, err, did)
	}
}

// The tasks wait for each other, so that only at the same time they come to an end.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	there, back := make(chan int), make(chan int)
	got, err := AtOnce(
		func() ([]int, error) { there <- 1; return []int{<-back}, nil },
		just(),
		func() ([]int, error) { n := <-there; back <- 2; return []int{n, 3}, nil },
	)()
	if want := []int{2, 1, 3}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	one, two := errors.New("one"), errors.New("two")
	if got, err := AtOnce(failing(one), just(1), failing(two))(); !errors.Is(err, one) || !errors.Is(err, two) || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	got, err := Times(3, func(i int) Task[int] { return just(i, 10*i) })()
	if want := []int{0, 0, 1, 10, 2, 20}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}
