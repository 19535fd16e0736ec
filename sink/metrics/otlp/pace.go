// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

const (
	firstPause = time.Second      // after a push that failed
	mostPause  = 30 * time.Second // after many
)

// pace decides when to push.
type pace struct {
	interval time.Duration
	due      time.Time
	pause    time.Duration // after the last failure
}

// next returns how long to wait: for the next interval or, if a push can be tried again, for longer with each failure, and at least as long as
// the receiver says.
func (p *pace) next(now time.Time, refused *refusal) time.Duration {
	if refused != nil && refused.again {
		p.pause = min(max(2*p.pause, firstPause), mostPause)
		return max(jitter(p.pause), refused.pause)
	}
	p.pause = 0
	if late := now.Sub(p.due); late >= 0 {
		p.due = p.due.Add(late - late%p.interval + p.interval)
	}
	return p.due.Sub(now)
}

// jitter returns half of the time to one and a half, so that clients that failed together do not come back together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// reporter says when pushes begin to fail, and when they succeed again.
type reporter struct {
	log      *slog.Logger
	failed   int    // in a row
	partial  bool   // the receiver did not take all of the last push
	rejected uint64 // since then
}

func (r *reporter) report(did outcome) {
	switch {
	case did.refused != nil:
		if r.failed++; r.failed == 1 {
			r.log.Warn("metrics cannot be pushed; gizmo goes on trying", "err", did.refused)
		}
		return
	case did.requests == 0:
		return
	case r.failed > 0:
		r.log.Warn("metrics are pushed again", "failed", r.failed)
		r.failed = 0
	}
	isPartial := did.rejected > 0 || did.why != ""
	r.rejected += did.rejected
	switch {
	case isPartial && !r.partial:
		r.log.Warn("the receiver of metrics does not take all of them", "rejected", did.rejected, "reason", plain.Short(errors.New(did.why)))
	case !isPartial && r.partial:
		r.log.Warn("the receiver of metrics takes all of them again", "rejected", r.rejected)
		r.rejected = 0
	}
	r.partial = isPartial
}
