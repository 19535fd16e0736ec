// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"context"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// reader calls a source's Next on a separate goroutine, so that the caller can wait for a batch and for
// other things at once. It reads one batch at a time: the caller owns the batch until it asks for the
// next.
type reader struct {
	src    pipeline.Source
	batch  event.Batch
	asked  bool // and not answered yet
	asks   chan struct{}
	answer chan error
	end    context.CancelFunc // tells the source to end; nil before start
}

func newReader(src pipeline.Source) reader {
	return reader{src: src, asks: make(chan struct{}, 1), answer: make(chan error, 1)}
}

// start starts the goroutine.
func (r *reader) start(ctx context.Context) {
	ctx, r.end = context.WithCancel(ctx)
	go r.run(ctx, r.asks)
}

// ask requests the next batch unless that has been done. The returned channel delivers Next's error once the
// batch is there; the caller must then call answered.
func (r *reader) ask() <-chan error {
	if !r.asked {
		r.asked = true
		r.asks <- struct{}{}
	}
	return r.answer
}

func (r *reader) run(ctx context.Context, asks <-chan struct{}) {
	for range asks {
		r.answer <- r.src.Next(ctx, &r.batch)
	}
}

// answered records that the answer has come, and whether there will be another one.
func (r *reader) answered(err error) {
	r.asked = false
	if err != nil {
		r.stop()
	}
}

// stop ends the goroutine. The source's Next is not running any more when it returns.
func (r *reader) stop() {
	if r.end == nil || r.asks == nil {
		return
	}
	r.end()
	if r.asked {
		<-r.answer
		r.asked = false
	}
	close(r.asks)
	r.asks = nil
}
