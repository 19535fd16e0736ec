// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/targets"
)

// counted is a link that counts how many of its kind there are.
type counted struct {
	now     *atomic.Int32
	closing chan struct{} // Close waits for it, if it is not nil
}

func (c counted) Close() error {
	if c.closing != nil {
		<-c.closing
	}
	c.now.Add(-1)
	return nil
}

func inFile(inode uint64) place { return place{"program", "f+0", targets.ID{Inode: inode}} }

// If reading a file never ends, only the callers that want the same file wait for it.
func TestSharedLinksWaitForTheirFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sharedLinks[place]
		var now atomic.Int32
		answer := make(chan struct{})
		slow := make(chan io.Closer, 2)
		for range 2 {
			go func() {
				l, err := s.attach(inFile(1), func() (closers, error) {
					<-answer
					now.Add(1)
					return closers{counted{now: &now}}, nil
				})
				if err != nil {
					t.Error(err)
				}
				slow <- l
			}()
		}
		synctest.Wait()
		other, err := s.attach(inFile(2), func() (closers, error) { now.Add(1); return closers{counted{now: &now}}, nil })
		if err != nil || now.Load() != 1 || len(slow) != 0 {
			t.Errorf("%v, %d links, %d users of the slow file", err, now.Load(), len(slow))
		}
		close(answer)
		first, second := <-slow, <-slow
		if now.Load() != 2 {
			t.Errorf("%d links, want 2", now.Load())
		}
		for i, c := range []io.Closer{first, other, second} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if want := []int32{2, 1, 0}[i]; now.Load() != want {
				t.Errorf("after %d: %d links, want %d", i+1, now.Load(), want)
			}
		}
	})
}

// While an attachment ends, no second one begins: it would double events.
func TestSharedLinksOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sharedLinks[place]
		var now, most atomic.Int32
		end := make(chan struct{})
		do := func() (closers, error) {
			most.Store(max(most.Load(), now.Add(1)))
			return closers{counted{&now, end}}, nil
		}
		first, err := s.attach(inFile(1), do)
		if err != nil {
			t.Fatal(err)
		}
		go first.Close()
		synctest.Wait()
		again := make(chan io.Closer, 1)
		go func() {
			l, _ := s.attach(inFile(1), do)
			again <- l
		}()
		synctest.Wait()
		if len(again) != 0 {
			t.Error("attached while the first attachment ends")
		}
		close(end)
		if err := (<-again).Close(); err != nil || most.Load() != 1 || now.Load() != 0 {
			t.Errorf("%v, at most %d at once, %d left", err, most.Load(), now.Load())
		}
	})
}

// After an error the next one tries again.
func TestSharedLinksAfterAnError(t *testing.T) {
	var s sharedLinks[place]
	var now atomic.Int32
	failed := errors.New("failed")
	now.Add(1)
	if _, err := s.attach(inFile(1), func() (closers, error) { return closers{counted{now: &now}}, failed }); !errors.Is(err, failed) || now.Load() != 0 {
		t.Errorf("%v, %d links are left", err, now.Load())
	}
	l, err := s.attach(inFile(1), func() (closers, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil || len(s.links) != 0 {
		t.Errorf("%v, %d places", err, len(s.links))
	}
}
