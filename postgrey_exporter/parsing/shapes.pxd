cdef size_t stamp_size(const unsigned char *line, const unsigned char *end) noexcept nogil
cdef bint is_no_host(
    const unsigned char *word, const unsigned char *end, const unsigned char *line_end
) noexcept nogil
cdef bint is_no_tag(const unsigned char *at, const unsigned char *end) noexcept nogil
cdef bint may_matter(
    const unsigned char *line, const unsigned char *end, const unsigned char *tag, size_t tag_size
) noexcept nogil
cdef const unsigned char *after_queue_id(const unsigned char *at, const unsigned char *end) noexcept nogil
cdef bint claims_decision(const unsigned char *at, const unsigned char *end) noexcept nogil
cdef bint tells_more(const unsigned char *at, const unsigned char *end) noexcept nogil
