// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// How long to wait before asking a runtime again that has a socket but does not answer. The first pause is short,
// each later one twice as long.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 30 * time.Second
)

// backoff waits for a runtime to come back. While its socket is missing it uses no CPU: the kernel reports when that
// changes.
type backoff struct {
	socket string
	pause  time.Duration
}

func newBackoff(socket string) *backoff { return &backoff{socket: socket, pause: shortestPause} }

// reset returns to short pauses.
func (b *backoff) reset() { b.pause = shortestPause }

// wait returns when it makes sense to ask again; false: ctx is done.
func (b *backoff) wait(ctx context.Context) bool {
	if _, err := os.Stat(b.socket); err != nil {
		if waited, err := b.waitForSocket(ctx); err == nil {
			b.reset()
			return waited
		}
	}
	timer := time.NewTimer(b.pause)
	defer timer.Stop()
	b.pause = min(2*b.pause, longestPause)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// waitForSocket waits until the socket exists; false: ctx is done.
func (b *backoff) waitForSocket(ctx context.Context) (bool, error) {
	for {
		folder := existing(filepath.Dir(b.socket))
		changed, err := watchFolder(ctx, folder, func() bool {
			_, err := os.Stat(b.socket)
			return err == nil || existing(filepath.Dir(b.socket)) != folder
		})
		if !changed || err != nil {
			return false, err
		}
		if _, err := os.Stat(b.socket); err == nil {
			return true, nil
		}
	}
}

// waitForOther waits until the socket has been replaced or removed. It returns false if ctx is done, or if the kernel does not
// report changes of the socket's folder.
func (b *backoff) waitForOther(ctx context.Context, was os.FileInfo) bool {
	if was == nil {
		return false
	}
	other, err := watchFolder(ctx, filepath.Dir(b.socket), func() bool {
		now, err := os.Stat(b.socket)
		return err != nil || !os.SameFile(was, now) || !now.ModTime().Equal(was.ModTime())
	})
	return other && err == nil
}

// existing returns the nearest folder above, or at, a path that exists.
func existing(path string) string {
	for path != "/" && path != "." {
		if _, err := os.Stat(path); err == nil {
			return path
		}
		path = filepath.Dir(path)
	}
	return path
}

// watchFolder returns true when happened returns true after a change in a folder; false: ctx is done.
func watchFolder(ctx context.Context, folder string, happened func() bool) (bool, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return false, err
	}
	defer w.Close()
	if err := w.Add(folder); err != nil {
		return false, err
	}
	for !happened() { // also for what happened before the folder was watched
		select {
		case <-ctx.Done():
			return false, nil
		case <-w.Events:
		case err := <-w.Errors:
			return false, err
		}
	}
	return true, nil
}
