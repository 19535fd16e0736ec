// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// stop returns only after the function has returned, because the caller then closes what the function uses.
func TestWatchStopWaits(t *testing.T) {
	t.Parallel()
	var w watch
	w.stop() // of the zero value: nothing
	ctx, cancel := context.WithCancel(t.Context())
	running, release := make(chan struct{}), make(chan struct{})
	var done atomic.Bool
	w.start(ctx, func() {
		close(running)
		<-release
		done.Store(true)
	})
	if !w.started() {
		t.Error("not started")
	}
	cancel()
	<-running
	time.AfterFunc(20*time.Millisecond, func() { close(release) })
	w.stop()
	if !done.Load() {
		t.Error("stop did not wait")
	}
	w.stop() // again
}

func TestWatchStopPrevents(t *testing.T) {
	t.Parallel()
	var w watch
	ctx, cancel := context.WithCancel(t.Context())
	w.start(ctx, func() { t.Error("called after stop") })
	w.stop()
	cancel()
	time.Sleep(5 * time.Millisecond)
}
