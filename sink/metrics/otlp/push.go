// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"context"
	"time"

	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// maxRequest is about how large a request gets. Receivers take 4 MiB over gRPC unless they are told otherwise.
const maxRequest = 1 << 20

// source is a reader of metrics. Its snapshots belong to who pushes.
type source struct {
	scope  string
	reader metrics.Reader
	added  time.Time

	now    *metrics.Snapshot // what is pushed
	before *metrics.Snapshot // of delta: what was pushed before; nil: nothing
	spare  *metrics.Snapshot

	end int64 // of the last snapshot, in nanoseconds since 1970
	set clockSet
}

// clockSet is when the clock was set back the last time.
type clockSet struct {
	begun uint64    // series by then
	start time.Time // what they begin with if they began later than that, by the clock before
}

func (s *source) take() {
	if s.now == nil {
		s.now, s.spare = s.spare, nil
	}
	if s.now == nil {
		s.now = new(metrics.Snapshot)
	}
	s.reader.Snapshot(s.now)
	if s.now.Time.IsZero() {
		s.now.Time = time.Now()
	}
	end := s.now.Time.UnixNano()
	if end < s.end {
		s.set = clockSet{s.now.Begun(), time.Unix(0, end-1)}
	}
	s.end = end
}

// done makes what was pushed the beginning of the next difference.
func (s *source) done() { s.before, s.now, s.spare = s.now, nil, s.before }

// times returns those of a data point. A cumulative one begins with the first row of its series, so that a series which expired and came
// back begins after the last data point of the one before. If the clock is set back, it has one new beginning, and not one with each push: a
// receiver adds up what comes after a new beginning. A difference begins where the one before ends.
func (s *source) times(c metrics.Change, isDelta bool) times {
	start := c.First()
	switch {
	case isDelta && s.before != nil:
		start = s.before.Time
	case isDelta && s.added.Before(start):
		start = s.added
	case c.ID() <= s.set.begun && s.set.start.Before(start):
		start = s.set.start
	}
	return newTimes(start, s.now.Time)
}

// round is a push of sources. It knows how far it has come.
type round struct {
	sources []*source
	at      int // the source
	place   int // the place of the next series of it
}

// next makes the next request, and returns where the one after it begins. It has no request if there is nothing to push.
func (r *round) next(e *encoder) (request []byte, points int, after round) {
	after = *r
	for after.at < len(r.sources) {
		s := r.sources[after.at]
		full := false
		for place, c := range s.now.Since(s.before, after.place) {
			e.addSeries(s.now, c, s.times(c, e.delta))
			after.place = place + 1
			if full = e.size+len(e.scopes) >= maxRequest; full {
				break
			}
		}
		e.endScope(s.scope, s.now)
		if full {
			break
		}
		after.at, after.place = after.at+1, 0
	}
	request, points = e.take()
	return request, points, after
}

// pusher pushes one round after the other.
type pusher struct {
	sender  sender
	encoder *encoder
	timeout time.Duration
	isDelta bool

	// round is one that has not come to its end: a difference, which has to be delivered before the next one. It is sent again as it is, with the same times, so that a
	// receiver can tell if it has got it already. nil: there is none.
	round *round
}

// outcome is what a push did.
type outcome struct {
	requests                  int // that the receiver took
	points, rejected, dropped uint64
	why                       string   // data points were rejected
	refused                   *refusal // the last one; nil: none
}

// push goes on with the round, or begins one. Cumulative values that were not delivered are left out: the next ones have them, too.
func (p *pusher) push(ctx context.Context, sources []*source) (did outcome) {
	if p.round == nil {
		for _, s := range sources {
			s.take()
		}
		p.round = &round{sources: sources}
	}
	for p.round.at < len(p.round.sources) {
		request, points, after := p.round.next(p.encoder)
		if request != nil {
			if p.request(ctx, request, uint64(points), &did); did.refused != nil && did.refused.again {
				p.sender.disconnect() // the connection may be dead, and look alive for long
				if !p.isDelta {
					p.round = nil
				}
				return did
			}
		}
		*p.round = after
	}
	if p.isDelta {
		for _, s := range p.round.sources {
			s.done()
		}
	}
	p.round = nil
	return did
}

// request sends a request. If the receiver refuses it for good, its data points are dropped: it would refuse them again.
func (p *pusher) request(ctx context.Context, request []byte, points uint64, did *outcome) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	answer, refused := p.sender.send(ctx, request)
	switch {
	case refused == nil:
		rejected, why := partialSuccess(answer)
		did.requests++
		did.points += points
		did.rejected += rejected
		if why != "" {
			did.why = why
		}
	case refused.again:
		did.refused = refused
	default:
		did.refused = refused
		did.dropped += points
	}
}
