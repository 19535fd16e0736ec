// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// This file formats single values by other means than gizmo's own.

func number[T ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64](v T) any {
	return json.Number(fmt.Sprint(v))
}

func list[T any](values []T, one func(T) any) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = one(v)
	}
	return all
}

func unsigned128(w wide) any {
	n := new(big.Int).Lsh(new(big.Int).SetUint64(w.High), 64)
	return json.Number(n.Or(n, new(big.Int).SetUint64(w.Low)).String())
}

func signed128(w wide) any {
	n := new(big.Int).Lsh(big.NewInt(int64(w.High)), 64)
	return json.Number(n.Add(n, new(big.Int).SetUint64(w.Low)).String())
}

// float accepts every text that reads back as the very same float.
func float(f float64, bitSize int) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return check(func(got any) bool {
		n, ok := got.(json.Number)
		back, err := strconv.ParseFloat(n.String(), bitSize)
		return ok && err == nil && math.Float64bits(back) == math.Float64bits(f)
	})
}

// hexOf returns the bytes of a value as hex digits.
func hexOf(v any) any {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		return err
	}
	return hex.EncodeToString(b.Bytes())
}

// text is that of a char array. Each byte that is no part of a character becomes U+FFFD.
func text(chars []byte) any {
	s, _, _ := strings.Cut(string(chars), "\x00")
	return string([]rune(s))
}

func enum(v uint64, names map[uint64]string) any {
	if name, ok := names[v]; ok {
		return name
	}
	return strconv.FormatUint(v, 10)
}

// bitSet accepts the names in any order, as long as they stand for exactly the bits of v, none of
// them is superfluous, and there is a number for no bit that has a name.
func bitSet(v uint64, separator string, names map[string]uint64) any {
	return check(func(got any) bool {
		s, ok := got.(string)
		if v == 0 {
			return ok && s == ""
		}
		known, sum := uint64(0), uint64(0)
		for _, mask := range names {
			if v&mask == mask {
				known |= mask
			}
		}
		for _, name := range strings.Split(s, separator) {
			mask, found := names[name]
			if !found {
				var err error
				mask, err = strconv.ParseUint(strings.TrimPrefix(name, "0x"), 16, 64)
				ok = ok && err == nil && strings.HasPrefix(name, "0x") && mask&known == 0
			}
			ok = ok && mask&^sum != 0
			sum |= mask
		}
		return ok && sum == v
	})
}

// openFlags is bitSet for the flags of open(2), of which two bits are a number.
func openFlags(v uint64) any {
	access := []string{"O_RDONLY", "O_WRONLY", "O_RDWR"}
	return check(func(got any) bool {
		s, _ := got.(string)
		if v&3 == 3 {
			return openFlagNames(v&^3, s) || strings.Contains(s, "|") && openFlagNames(v&^3, s[strings.Index(s, "|")+1:])
		}
		name, rest, more := strings.Cut(s, "|")
		return name == access[v&3] && more == (v>>2 != 0) && (!more || openFlagNames(v&^3, rest))
	})
}

func openFlagNames(v uint64, s string) bool {
	if v == 0 {
		return true
	}
	return bitSet(v, "|", map[string]uint64{
		"O_CREAT": unix.O_CREAT, "O_EXCL": unix.O_EXCL, "O_NOCTTY": unix.O_NOCTTY, "O_TRUNC": unix.O_TRUNC,
		"O_APPEND": unix.O_APPEND, "O_NONBLOCK": unix.O_NONBLOCK, "O_DSYNC": unix.O_DSYNC, "O_ASYNC": unix.O_ASYNC,
		"O_DIRECT": 0x4000, "O_LARGEFILE": 0x8000, "O_DIRECTORY": 0x10000, "O_NOFOLLOW": 0x20000, // of amd64
		"O_NOATIME": unix.O_NOATIME, "O_CLOEXEC": unix.O_CLOEXEC, "O_SYNC": 0x101000, "O_PATH": unix.O_PATH, "O_TMPFILE": 0x410000,
	}).(check)(s)
}

func unixNano(v uint64) any {
	if v == 0 {
		return number(v)
	}
	return number(int64(v) + bootOffset)
}

func moment(v uint64, layout string) any {
	if v == 0 {
		return ""
	}
	return time.Unix(0, bootOffset).Add(time.Duration(v)).UTC().Format(layout)
}

// errno knows the names of errors from package unix; where there are two, either will do. Only the
// kernel has the numbers from 512 on.
func errno(v int32) any {
	n := int64(v)
	if n < 0 {
		n = -n
	}
	name := unix.ErrnoName(syscall.Errno(n))
	switch {
	case n == 0:
		return ""
	case n >= 512 && n < 600:
		return check(func(got any) bool {
			s, _ := got.(string)
			return s == "error#"+strconv.FormatInt(n, 10) || strings.HasPrefix(s, "E")
		})
	case name == "":
		return "error#" + strconv.FormatInt(n, 10)
	}
	return check(func(got any) bool {
		same := map[string]string{"EWOULDBLOCK": "EAGAIN", "EDEADLOCK": "EDEADLK", "EOPNOTSUPP": "ENOTSUP"}
		s, _ := got.(string)
		return s == name || same[s] == name || same[name] == s
	})
}

func signal(v uint32) any {
	name := unix.SignalName(syscall.Signal(v))
	if name == "" || v >= 32 {
		return "signal#" + strconv.FormatUint(uint64(v), 10)
	}
	return name
}

// syscallName has the numbers of amd64, which package unix has only there.
func syscallName(v int64) any {
	names := map[int64]string{
		0: "SYS_READ", 1: "SYS_WRITE", 41: "SYS_SOCKET", 59: "SYS_EXECVE", 257: "SYS_OPENAT", 334: "SYS_RSEQ",
		1 << 30: "SYS_READ", // of the x32 ABI
		424:     "SYS_PIDFD_SEND_SIGNAL", 435: "SYS_CLONE3", 461: "SYS_LSM_LIST_MODULES",
	}
	if name, ok := names[v]; ok {
		return name
	}
	return "syscall#" + strconv.FormatInt(v, 10)
}

// mode prints permissions by package fs, and lays the letters of special bits over them.
func mode(v uint32) any {
	kinds := map[uint32]byte{0: '-', unix.S_IFREG: '-', unix.S_IFDIR: 'd', unix.S_IFLNK: 'l', unix.S_IFSOCK: 's',
		unix.S_IFBLK: 'b', unix.S_IFCHR: 'c', unix.S_IFIFO: 'p'}
	s := []byte(fs.FileMode(v & 0o777).String())
	s[0] = '?'
	if kind, ok := kinds[v&unix.S_IFMT]; ok {
		s[0] = kind
	}
	for i, bit := range []uint32{unix.S_ISUID, unix.S_ISGID, unix.S_ISVTX} {
		if v&bit == 0 {
			continue
		}
		letters := []string{"Ss", "Ss", "Tt"}[i]
		at := 3 * (i + 1)
		if s[at] == 'x' {
			s[at] = letters[1]
		} else {
			s[at] = letters[0]
		}
	}
	return string(s)
}

func idName(names map[uint32]string, id uint32) any {
	if name, ok := names[id]; ok {
		return name
	}
	return strconv.FormatUint(uint64(id), 10)
}

// size rounds with exact fractions to the first unit in which three digits are enough.
func size(v uint64) any {
	if v < 1000 {
		return strconv.FormatUint(v, 10) + " B"
	}
	n := new(big.Rat).SetUint64(v)
	for i, unit := range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		n.Quo(n, big.NewRat(1000, 1))
		if short := n.FloatString(1); len(short) == len("1.0") {
			return short + " " + unit
		}
		if whole := n.FloatString(0); len(whole) <= 3 || i == 5 {
			return whole + " " + unit
		}
	}
	return nil
}

// duration rounds to hundredths of the unit and has package fmt print those; from a minute on package time
// prints it, whose largest number is that of an int64.
func duration(v uint64) any {
	if v > math.MaxInt64-1e9 {
		seconds := v / 1e9
		if v%1e9 >= 5e8 {
			seconds++
		}
		return fmt.Sprintf("%dh%dm%ds", seconds/3600, seconds/60%60, seconds%60)
	}
	d := time.Duration(v)
	if d < time.Microsecond {
		return d.String()
	}
	names := map[time.Duration]string{time.Microsecond: "µs", time.Millisecond: "ms", time.Second: "s"}
	for _, unit := range []time.Duration{time.Microsecond, time.Millisecond, time.Second} {
		if rounded := d.Round(unit / 100); rounded < 1000*unit && (unit != time.Second || rounded < time.Minute) {
			return fmt.Sprintf("%.2f%s", float64(rounded)/float64(unit), names[unit])
		}
	}
	return d.Round(time.Second).String()
}

func address(b [16]byte, version uint8) any {
	switch version {
	case 4:
		return netip.AddrFrom4([4]byte(b[:])).String()
	case 6:
		return netip.AddrFrom16(b).String()
	}
	return ""
}

func protocol(v uint16) any {
	names := map[uint16]string{0: "", 1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 58: "ICMPV6", 132: "SCTP", 255: "RAW", 256: "SMC", 262: "MPTCP"}
	if name, ok := names[v]; ok {
		return name
	}
	return strconv.FormatUint(uint64(v), 10)
}
