// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Attempt is one run of a test that the machine can disturb. Its errors are logged at once; whether they count is for Undisturbed to decide.
type Attempt struct {
	testing.TB

	ctx       context.Context
	mu        sync.Mutex
	cleanups  []func()
	failed    atomic.Bool
	disturbed atomic.Bool
}

// Undisturbed runs a test that needs to see each event. If the test fails, and the machine may be the cause, the test runs
// again, at most twice. The machine may be the cause if it hides its process 1 from BPF, or if the test has called
// Attempt.Disturbed. The log has the errors of all runs; the last run decides.
func Undisturbed(t *testing.T, test func(t *Attempt)) {
	t.Helper()
	undisturbed(t, func() bool { return hidesProcessOne(t) }, test)
}

func undisturbed(t testing.TB, machineHides func() bool, test func(t *Attempt)) {
	t.Helper()
	for range 2 {
		a := attempt(t, test)
		if !a.Failed() {
			return
		}
		if !a.disturbed.Load() && !machineHides() {
			t.FailNow()
		}
		t.Log("once more: the machine may be the cause")
	}
	if attempt(t, test).Failed() {
		t.FailNow()
	}
}

// attempt runs the test once, and what it has to clean up.
func attempt(t testing.TB, test func(*Attempt)) *Attempt {
	ctx, cancel := context.WithCancel(t.Context())
	a := &Attempt{TB: t, ctx: ctx}
	toItsEnd(func() { test(a) })
	cancel()
	for f := a.lastCleanup(); f != nil; f = a.lastCleanup() {
		toItsEnd(f)
	}
	return a
}

// toItsEnd calls f in a goroutine, so that FailNow ends f and no more.
func toItsEnd(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// lastCleanup takes the function that was registered last, nil if there are no more.
func (a *Attempt) lastCleanup() func() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.cleanups) == 0 {
		return nil
	}
	f := a.cleanups[len(a.cleanups)-1]
	a.cleanups = a.cleanups[:len(a.cleanups)-1]
	return f
}

// Disturbed says that the machine is the cause if the attempt fails, and not what is tested.
func (a *Attempt) Disturbed() { a.disturbed.Store(true) }

// Within fails the attempt if something took longer than it may. A machine that stands still for a while may be the cause, but
// not each time: the test runs again.
func (a *Attempt) Within(took, most time.Duration) {
	a.Helper()
	if took > most {
		a.Disturbed()
		a.Errorf("it took %v, at most %v are right", took, most)
	}
}

// Cleanup calls f when the attempt has ended, the function that was registered last before the others.
func (a *Attempt) Cleanup(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, f)
}

// Context ends with the attempt, before what is registered with Cleanup.
func (a *Attempt) Context() context.Context { return a.ctx }

// Failed reports whether the attempt has failed.
func (a *Attempt) Failed() bool { return a.failed.Load() }

// Fail makes the attempt fail.
func (a *Attempt) Fail() { a.failed.Store(true) }

// FailNow makes the attempt fail and ends it.
func (a *Attempt) FailNow() {
	a.Fail()
	runtime.Goexit()
}

// Error is Log and Fail.
func (a *Attempt) Error(args ...any) {
	a.Helper()
	a.Log(args...)
	a.Fail()
}

// Errorf is Logf and Fail.
func (a *Attempt) Errorf(format string, args ...any) {
	a.Helper()
	a.Logf(format, args...)
	a.Fail()
}

// Fatal is Log and FailNow.
func (a *Attempt) Fatal(args ...any) {
	a.Helper()
	a.Log(args...)
	a.FailNow()
}

// Fatalf is Logf and FailNow.
func (a *Attempt) Fatalf(format string, args ...any) {
	a.Helper()
	a.Logf(format, args...)
	a.FailNow()
}
