// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"sync/atomic"

	"github.com/gizmo-ebpf/gizmo/event"
)

// records has the containers by their handles. Reading takes no lock; one goroutine at a time may add and release.
type records struct {
	chunks atomic.Pointer[[]*chunk]
	count  int
}

const chunkSize = 256

type chunk [chunkSize]atomic.Pointer[record]

// add returns a handle for a container. Handles count from 1.
func (r *records) add(c *Container) event.Handle {
	r.count++
	at := r.count / chunkSize
	var chunks []*chunk
	if old := r.chunks.Load(); old != nil {
		chunks = *old
	}
	if at == len(chunks) {
		chunks = append(chunks[:at:at], new(chunk))
		r.chunks.Store(&chunks)
	}
	chunks[at][r.count%chunkSize].Store(&record{Container: c})
	return event.Handle(r.count)
}

// at returns the record of a handle; nil: there is none, or it was released.
func (r *records) at(h event.Handle) *record {
	chunks := r.chunks.Load()
	if chunks == nil || int(h)/chunkSize >= len(*chunks) {
		return nil
	}
	return (*chunks)[h/chunkSize][h%chunkSize].Load()
}

// release forgets the record of a handle, to free memory. No event may have the handle any more.
func (r *records) release(h event.Handle) {
	if chunks := r.chunks.Load(); chunks != nil && int(h)/chunkSize < len(*chunks) {
		(*chunks)[h/chunkSize][h%chunkSize].Store(nil)
	}
}
