// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
)

func TestErrnoAgainstUnix(t *testing.T) {
	t.Parallel()
	for n := uint64(1); n < 5000; n++ {
		want := unix.ErrnoName(syscall.Errno(n))
		if want == "" {
			want = fmt.Sprintf("error#%d", n)
		}
		if got := string(appendErrno(nil, int64(n))); got != want {
			t.Errorf("%d reads %q, want %q", n, got, want)
		}
		if got := string(appendErrno(nil, -int64(n))); got != want {
			t.Errorf("-%d reads %q, want %q", n, got, want)
		}
	}
}

func TestErrno(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value uint64
		want  string
	}{
		{0, ""},
		{2, "ENOENT"},
		{0xfffffffe, "ENOENT"}, // -2
		{512, "error#512"},
		{0xfffffe00, "error#512"},
		{1 << 31, "error#2147483648"},
	} {
		if got := unsigned(t, "gadget_errno", 4, testEnv(), tt.value); got != tt.want {
			t.Errorf("%#x reads %q, want %q", tt.value, got, tt.want)
		}
	}
	if got := string(appendErrno(nil, math.MinInt64)); got != "error#9223372036854775808" {
		t.Errorf("got %q", got)
	}
}

func TestSignalAgainstUnix(t *testing.T) {
	t.Parallel()
	for n := uint64(0); n < 130; n++ {
		want := unix.SignalName(syscall.Signal(n))
		if want == "" {
			want = fmt.Sprintf("signal#%d", n)
		}
		if got := unsigned(t, "gadget_signal", 4, testEnv(), n); got != want {
			t.Errorf("%d reads %q, want %q", n, got, want)
		}
	}
	if got := unsigned(t, "gadget_signal", 4, testEnv(), 0xffffffff); got != "signal#4294967295" {
		t.Errorf("got %q", got)
	}
}

func TestSyscall(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		arch  string
		value uint64
		want  string
	}{
		{"amd64", 0, "SYS_READ"}, {"amd64", 41, "SYS_SOCKET"}, {"amd64", 257, "SYS_OPENAT"},
		{"arm64", 0, "SYS_IO_SETUP"}, {"arm64", 198, "SYS_SOCKET"}, {"arm64", 244, "syscall#244"},
		{"386", 359, "SYS_SOCKET"}, {"arm", 281, "SYS_SOCKET"}, {"arm", 0, "SYS_RESTART_SYSCALL"},
		{"amd64", 1<<32 | 359, "SYS_SOCKET"}, {"amd64", 1<<32 | 5, "SYS_OPEN"}, {"arm64", 1<<32 | 281, "SYS_SOCKET"},
		{"amd64", 1<<32 | 9999, "syscall#4294977295"}, {"386", 1<<32 | 359, "syscall#4294967655"},
		{"amd64", 1<<33 | 41, "syscall#8589934633"}, {"arm64", 1<<30 | 198, "syscall#1073742022"},
		{"amd64", 1<<30 | 41, "SYS_SOCKET"}, {"amd64", 1<<30 | 9999, "syscall#1073751823"}, {"amd64", 1 << 31, "syscall#2147483648"},
		{"amd64", 400, "syscall#400"}, {"amd64", 1 << 40, "syscall#1099511627776"},
		{"amd64", math.MaxUint64, "syscall#-1"}, {"mips", 1, "syscall#1"}, {"", 1, "syscall#1"},
	} {
		env := testEnv()
		env.Arch = tt.arch
		if got := unsigned(t, "gadget_syscall", 8, env, tt.value); got != tt.want {
			t.Errorf("%d on %s reads %q, want %q", tt.value, tt.arch, got, tt.want)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	noNames := testEnv()
	noNames.Users, noNames.Groups = nil, nil
	for _, tt := range []struct {
		ctype string
		env   *Env
		value uint64
		want  string
	}{
		{"gadget_uid", testEnv(), 0, "root"}, {"gadget_uid", testEnv(), 1000, "alice"},
		{"gadget_gid", testEnv(), 1000, "staff"}, {"gadget_uid", testEnv(), 7, "7"},
		{"gadget_gid", testEnv(), 0xffffffff, "4294967295"}, {"gadget_uid", noNames, 0, "0"},
	} {
		if got := unsigned(t, tt.ctype, 4, tt.env, tt.value); got != tt.want {
			t.Errorf("%s %d reads %q, want %q", tt.ctype, tt.value, got, tt.want)
		}
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		n    uint64
		want string
	}{
		{0, "0 B"}, {999, "999 B"}, {1000, "1.0 kB"}, {1049, "1.0 kB"}, {1050, "1.1 kB"},
		{9949, "9.9 kB"}, {9950, "10 kB"}, {10_499, "10 kB"}, {10_500, "11 kB"}, {999_499, "999 kB"},
		{999_500, "1.0 MB"}, {4_194_304, "4.2 MB"}, {82_854_982, "83 MB"}, {999_500_000, "1.0 GB"},
		{5_000_000_000_000, "5.0 TB"}, {999_499_999_999_999_999, "999 PB"}, {999_500_000_000_000_000, "1.0 EB"},
		{math.MaxUint64, "18 EB"},
	} {
		if got := unsigned(t, "gadget_bytes", 8, testEnv(), tt.n); got != tt.want {
			t.Errorf("%d reads %q, want %q", tt.n, got, tt.want)
		}
	}
}

// TestBytesIsClose reads the text back: it may differ from the number by half its last digit.
func TestBytesIsClose(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	units := map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15, "EB": 1e18}
	for range 20_000 {
		n := random.Uint64() >> random.UintN(64)
		text := string(appendBytes(nil, n))
		var v float64
		var unit string
		if _, err := fmt.Sscan(text, &v, &unit); err != nil || units[unit] == 0 || v >= 1000 {
			t.Fatalf("%d reads %q: %v", n, text, err)
		}
		digit := units[unit]
		if strings.Contains(text, ".") {
			digit /= 10
		}
		if diff := math.Abs(v*units[unit] - float64(n)); diff > digit/2*(1+1e-9) {
			t.Fatalf("%d reads %q, which is %g off", n, text, diff)
		}
	}
}

// TestDurationAgainstTime has package time round and write the same durations.
func TestDurationAgainstTime(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(9, 10))
	check := func(n uint64) {
		if n > math.MaxInt64 {
			return
		}
		if got, want := string(appendDuration(nil, n)), timeString(time.Duration(n)); got != want {
			t.Fatalf("%d reads %q, want %q", n, got, want)
		}
	}
	for _, edge := range []uint64{1, 1e3, 1e6, 1e9, 60e9, 3600e9, 90061e9} {
		for d := uint64(0); d < 20_000; d++ {
			check(edge + d)
			check(edge - min(d, edge))
			check(edge - min(d*1000, edge))
		}
	}
	for range 200_000 {
		check(random.Uint64() >> random.UintN(64))
	}
}

func timeString(d time.Duration) string {
	switch {
	case d < time.Microsecond:
	case d < time.Millisecond:
		d = d.Round(10 * time.Nanosecond)
	case d < time.Second:
		d = d.Round(10 * time.Microsecond)
	case d < time.Minute:
		d = d.Round(10 * time.Millisecond)
	default:
		return d.Round(time.Second).String()
	}
	number, unit := d.String(), ""
	for i, r := range number {
		if r != '.' && (r < '0' || r > '9') {
			number, unit = number[:i], number[i:]
			break
		}
	}
	if unit == "ns" || d == 0 || strings.Contains(unit, "m") && unit != "ms" {
		return d.String()
	}
	whole, part, _ := strings.Cut(number, ".")
	return whole + "." + (part + "00")[:2] + unit
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		n    uint64
		want string
	}{
		{0, "0s"}, {1, "1ns"}, {1_350_200, "1.35ms"}, {2000, "2.00µs"}, {999_999, "1.00ms"}, {59_999_999_999, "1m0s"},
		{math.MaxInt64, "2562047h47m17s"}, {math.MaxUint64, "5124095h34m34s"},
	} {
		if got := unsigned(t, "gadget_duration", 8, testEnv(), tt.n); got != tt.want {
			t.Errorf("%d reads %q, want %q", tt.n, got, tt.want)
		}
	}
}

func TestNegativeAmounts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ctype string
		v     int64
		want  string
	}{
		{"gadget_bytes", -4_200_000, "-4.2 MB"}, {"gadget_bytes", math.MinInt64, "-9.2 EB"},
		{"gadget_duration", -1_500, "-1.50µs"}, {"gadget_duration", 1_500, "1.50µs"},
	} {
		s := layout(scalar("v_raw", tt.ctype, event.Int, 8))
		apply(t, s, testEnv(), annotations{})
		if got := text(t, s, "v", le(uint64(tt.v), 8)); got != tt.want {
			t.Errorf("%s %d reads %q, want %q", tt.ctype, tt.v, got, tt.want)
		}
	}
}
