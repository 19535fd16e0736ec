// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import "context"

// watch calls a function when a context ends. The zero value watches nothing.
type watch struct {
	cancel func() bool
	called chan struct{}
}

func (w *watch) started() bool { return w.cancel != nil }

// start begins to watch ctx.
func (w *watch) start(ctx context.Context, f func()) {
	called := make(chan struct{})
	w.called = called
	w.cancel = context.AfterFunc(ctx, func() {
		defer close(called)
		f()
	})
}

// stop ends watching. When it returns the function does not run and never will, so the caller may close what
// the function uses.
func (w *watch) stop() {
	if w.cancel != nil && !w.cancel() {
		<-w.called
	}
	w.cancel = nil
}
