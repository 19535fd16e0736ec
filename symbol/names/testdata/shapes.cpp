// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

namespace shapes {
template <typename T> struct Box {
	T value;
	__attribute__((noinline)) T area(T n) const;
};
template <typename T> T Box<T>::area(T n) const
{
	return value * n;
}
template struct Box<long>;
__attribute__((noinline)) long total(long a, long b)
{
	return Box<long>{ a }.area(b);
}
}

int main(int argc, char **)
{
	return shapes::total(argc, 2) == 0;
}
